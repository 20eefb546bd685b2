"""The program: doors for DVC and for people here; learning, audio and reporting in rooms of their own."""
