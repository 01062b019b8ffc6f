"""Everything that imports torch: images, models, training, inference. This file imports none of it."""
