"""What a specification means: frozen dataclasses, standard library only, no input or output.

Values are checked where they are born; later code trusts them.
"""
