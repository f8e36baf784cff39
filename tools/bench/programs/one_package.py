# SPDX-License-Identifier: MIT
"""A command of one small package."""

import click


@click.command()
def main():
    click.echo("text")


main()
