"""What a recipe costs before it is launched: parameters, bytes per rank, batch, nodes, advice.

Pure arithmetic on `config.json` and the recipe. Nothing here imports torch or loads a weight.
"""
