"""Files to clips and back."""
