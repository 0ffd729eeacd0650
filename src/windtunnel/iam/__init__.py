"""Who may do what: policy documents are parsed, compiled and evaluated here, as pure functions."""
