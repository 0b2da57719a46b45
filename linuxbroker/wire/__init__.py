"""What goes over the bus: names, models, JSON text, and the generated proxy."""
