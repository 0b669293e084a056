"""Removes datasets that are not needed any more: by rules, or by their ids."""
