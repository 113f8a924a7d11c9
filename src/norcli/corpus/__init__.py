"""From crawl to corpus: reading, extraction, language, quality, privacy, statistics."""
