"""The types that flow, errors and the registry. NumPy only; imports nothing of ours."""
