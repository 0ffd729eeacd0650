"""The one machine image, and the public parameters' value for it."""

STOCK_AMI = "ami-0a1b2c3d4e5f60718"
