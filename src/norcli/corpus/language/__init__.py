"""Which language a text is in: Bokmål, Nynorsk, three Sámi languages, and their neighbours."""
