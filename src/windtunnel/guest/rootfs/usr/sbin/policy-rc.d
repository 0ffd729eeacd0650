#!/bin/sh
# Packages do not start their services when they are installed: as on Amazon Linux, the user does.
exit 101
