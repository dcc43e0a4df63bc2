"""What a run found: asked of the models once, then told as metrics, as files and as the report's content."""
