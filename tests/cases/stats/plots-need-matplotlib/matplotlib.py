raise ModuleNotFoundError("No module named matplotlib", name="matplotlib")
