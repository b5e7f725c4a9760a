"""Recipes kept among the notes and written again exactly, and texts as files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from monosem_tui.draw.numbers import count
from monosem_tui.draw.safe_text import printable
from monosem_tui.keys.actions import Need, Where
from monosem_tui.live.recipe_files import export, free_file, free_name, save_recipe
from monosem_tui.pages.recipes_page import Recipes, recipes_lines
from monosem_tui.screens.live.connection import ModelConnection
from monosem_tui.screens.live.writer import WritingControl
from monosem_tui.screens.part import ScreenPart
from monosem_tui.widgets.live_view import CellView
from store.files.errors import MonosemError
from store.live.recipe import Recipe
from store.live.saved_recipes import KeptRecipe, forget_recipe, keep_recipe, kept_recipes, restore_recipe
from store.run.weights import sae_digest

DIFFERS = " · clamps changed while this text was written"


class RecipeShelf(ScreenPart):
    """The page of recipes, and keeping what is written as a recipe or as a file."""

    def __init__(self, connection: ModelConnection, writing: WritingControl, show: Callable[[bool], object]) -> None:
        """Prepare the page.

        Args:
            connection: to the model.
            writing: what recipes are kept of, and what writes them again.
            show: brings the page to the front, or takes it away.
        """
        self._connection, self._host, self._writing, self._show = connection, connection.host, writing, show
        self._named: tuple[int, list[str]] = (0, [])
        """Names of recipes, and the time of the file that they were read from."""
        self.recipes = Recipes(connection.talk, connection.label)
        self.view = CellView(self._host.session.palette, partial(recipes_lines, self.recipes), shown=False)
        self._taken_away: list[KeptRecipe] = []
        """Recipes taken away in this session, the last one at the end."""
        self.needs = {
            Need.RECIPES: lambda: bool(self.recipes.kept),
            Need.TAKEN_AWAY: lambda: bool(self._taken_away),
        }

    @property
    def here(self) -> Where | None:
        """The keys are here while the page is shown."""
        return Where.RECIPES if self.view.display else None

    def position(self) -> str:
        """Return the recipe's number and the total."""
        of = len(self.recipes.kept)
        return f"{self.recipes.cursor + 1} of {count(of)}" if of and self.view.display else ""

    def redraw(self) -> None:
        """Draw the page."""
        self.view.redraw()

    def names(self) -> list[str]:
        """Return the names of the recipes that are kept; none while their file cannot be read."""
        path = self._connection.run.editor.notes.path
        try:
            seen = path.stat().st_mtime_ns
            if self._named[0] != seen:
                self._named = (seen, [kept.name for kept in kept_recipes(path)])
        except (OSError, MonosemError):
            return []
        return self._named[1]

    def action_recipes(self) -> None:
        """Show the recipes, or writing again."""
        if not self.view.display:
            self._read_kept()
        self._show(not self.view.display)

    def open_at(self, name: str) -> None:
        """Show the recipes, the cursor on that of a name."""
        self._read_kept()
        self.recipes.go_to(name)
        if not self.view.display:
            self._show(True)
        self._connection.redraw()

    def _read_kept(self) -> None:
        with self._host.mentioning():
            self.recipes.show(kept_recipes(self._connection.run.editor.notes.path))

    def action_choose(self, rows: int) -> None:
        """Go to another recipe."""
        self.recipes.move(rows)
        self._connection.redraw()

    def action_replay(self) -> None:
        """Write the recipe under the cursor again."""
        kept = self.recipes.present
        if kept is not None:
            try:
                self._replay(kept.name, kept.recipe)
            except MonosemError as error:
                self._host.complain(error)

    def action_forget(self) -> None:
        """Remove the recipe under the cursor."""
        kept = self.recipes.present
        if kept is not None:
            with self._host.mentioning():
                forget_recipe(self._connection.run.editor.notes, kept.name)
                self._taken_away.append(kept)
                self._host.tell(f"{printable(kept.name)} taken away · u brings it back")
            self._read_kept()
            self._connection.redraw()

    def action_unforget(self) -> None:
        """Bring back the recipe that was taken away last."""
        kept = self._taken_away[-1]
        try:
            restore_recipe(self._connection.run.editor.notes, kept)
        except MonosemError as error:
            self._host.complain(error)
            return
        self._taken_away.pop()
        self._read_kept()
        self.recipes.go_to(kept.name)
        self._host.tell(f"{printable(kept.name)} is back")
        self._connection.redraw()

    def action_recipe_file(self) -> None:
        """Type which file's recipe is to be written again."""
        self._connection.ask("recipe file", "", self._take_file)

    def _take_file(self, text: str) -> None:
        if said := text.strip():
            self._replay(said, Recipe.load(Path(said).expanduser()))

    def _replay(self, name: str, recipe: Recipe) -> None:
        if not self._connection.has_model:
            return
        self._writing.adopt(recipe)
        self._host.tell(f"{printable(name)}, written again")
        self._writing.replay(recipe)
        if recipe.dictionary:
            folder = self._connection.folder
            # In a thread, as the digest reads all of the dictionary.
            self._host.away(lambda: sae_digest(folder.sae) == recipe.dictionary, self._compared, fail=lambda _: None)

    def _compared(self, same: bool) -> None:
        if not same:
            self._host.tell("the recipe was made with another dictionary than this run's: its features mean others")

    # Keeping

    def action_recipe(self) -> None:
        """Type under which name the recipe is to be kept, or in which file."""
        self._read_kept()
        name = free_name(self._connection.run.name, [kept.name for kept in self.recipes.kept])
        self._connection.ask("recipe", name, self._keep, selected=True)

    def action_export(self) -> None:
        """Type where the texts are to be kept."""
        name = free_file(Path(), self._connection.run.name, ".txt")
        self._connection.ask("export", name, self._export, selected=True)

    def _export(self, text: str) -> None:
        if said := text.strip():
            path, talk = Path(said).expanduser(), self._connection.talk
            recipe = talk.recipe or self._writing.recipe()
            export(path, recipe, talk.writing, self._connection.run.store.vocabulary)
            self._host.tell(f"both texts are in {path}")

    def _keep(self, text: str) -> None:
        name, shown = text.strip(), self._writing.shown
        if not name:
            return
        if not shown.prompt:
            raise MonosemError("there is no prompt to keep", "p types one.")
        if any(kept.name == name for kept in self.recipes.kept):
            raise MonosemError(f"{printable(name)} is kept already", "Give another name; o shows the recipes.")
        begun, recipe = self._connection.talk.begun, self._writing.recipe()
        same = recipe.sweep or begun is None or shown.sweeping or begun == recipe
        self._host.tell(f"keeping {printable(name)}")
        self._host.away(
            lambda: self._write(name, recipe) + ("" if same else DIFFERS), self._host.tell, fail=self._host.complain
        )

    def _write(self, name: str, recipe: Recipe) -> str:
        folder = self._connection.folder
        if "/" in name or name.endswith(".json"):
            path = Path(name).expanduser()
            save_recipe(path, recipe, folder.sae)
            return f"the recipe is in {path}: monosem generate --recipe {path}"
        keep_recipe(self._connection.run.editor.notes, name, replace(recipe, dictionary=sae_digest(folder.sae)))
        return f"{printable(name)} saved (o opens it)"
