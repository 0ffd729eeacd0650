"""One codec per AWS protocol, compiled from the service model into closures."""
