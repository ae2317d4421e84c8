"""Starts the command. Loading it takes a moment, in which Ctrl-C is as quiet as later on."""

from garfield_vae.util.errors import run_script


def main() -> int:
    from garfield_vae.data.download import command

    return command.main()


if __name__ == "__main__":
    run_script(main)
