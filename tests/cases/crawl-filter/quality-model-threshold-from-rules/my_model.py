def score(texts):
    return [0.25 if "Bestemor" in text else 0.75 for text in texts]
