"""How programs and people write a file, each in its own way."""
import time


def write_in_place(gateway, path, text):
    (gateway.config / path).write_text(text)


def write_by_rename(gateway, path, text):
    gateway.write(path, text)


def write_by_removal(gateway, path, text):
    (gateway.config / path).unlink()
    time.sleep(0.02)
    (gateway.config / path).write_text(text)


def write_with_backup(gateway, path, text):
    """As vim does it: the old file becomes the backup, a new one is written, the backup is removed."""
    file = gateway.config / path
    backup = file.with_name(file.name + "~")
    file.rename(backup)
    file.write_text(text)
    backup.unlink()


ALL = [write_in_place, write_by_rename, write_by_removal, write_with_backup]
