"""Reading today's list prices from the clouds' public price APIs into an overlay.

The core reads no network and no clock; this room does, and only when `python -m rackrate prices refresh` asks it to. It
computes no price: it takes the figure that the provider quotes, in the provider's unit, and the core does the rest.

command → refresh → azure, oracle (each over client) → changes (what moved) → overlay (merged, validated, written)
"""
