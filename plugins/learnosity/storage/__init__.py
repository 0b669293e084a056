"""One small interface for all object stores."""
