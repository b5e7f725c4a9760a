"""A part of Live: recipes kept among the notes, written again exactly, and texts as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from textual import work

from monosem_tui.draw.safe_text import printable
from monosem_tui.live.recipe_files import export, free_file, free_name, save_recipe
from monosem_tui.pages.recipes_page import Recipes
from monosem_tui.screens.session import Session
from monosem_tui.screens.tray import ClampingScreen
from monosem_tui.widgets.live_view import RecipesView
from store.files.errors import MonosemError
from store.live.recipe import Recipe
from store.live.saved_recipes import forget_recipe, keep_recipe, kept_recipes
from store.run.weights import sae_digest

DIFFERS = " · not all of the text was written so"


class KeepingScreen(ClampingScreen):
    """Has the page of recipes."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.recipes = Recipes(self.talk, self.label)
        self.kept_view = RecipesView(session.palette, self.recipes)

    def recipe(self) -> Recipe:
        """What would be written now, or the sweep that is shown."""
        raise NotImplementedError

    def replay(self, recipe: Recipe) -> None:
        """Write what a recipe says."""
        raise NotImplementedError

    @property
    def choosing(self) -> bool:
        """Whether the recipes are shown."""
        return bool(self.kept_view.display)

    # The recipes

    def action_recipes(self) -> None:
        """Show them, or no more."""
        if not self.choosing:
            self._read_kept()
        self.show_page("writing" if self.choosing else "recipes")

    def _read_kept(self) -> None:
        try:
            self.recipes.show(kept_recipes(self.run.editor.notes.path))
        except MonosemError as error:
            self.tell(error.what)

    def action_choose(self, rows: int) -> None:
        """Another recipe."""
        self.recipes.move(rows)
        self.renew()

    def action_replay(self) -> None:
        """Write the recipe under the cursor again."""
        kept = self.recipes.present
        if kept is not None:
            try:
                self._replay(kept.name, kept.recipe)
            except MonosemError as error:
                self.tell(" · ".join(filter(None, (error.what, error.hint))))

    def action_forget(self) -> None:
        """Take the recipe under the cursor away."""
        kept = self.recipes.present
        if kept is not None:
            try:
                forget_recipe(self.run.editor.notes, kept.name)
                self.tell(f"{printable(kept.name)} is no longer among the recipes; its line stays in the notes")
            except MonosemError as error:
                self.tell(error.what)
            self._read_kept()
            self.renew()

    def action_recipe_file(self) -> None:
        """Type which file's recipe is to be written again."""
        self.type_text("recipe file", "")

    def _replay(self, name: str, recipe: Recipe) -> None:
        if not self.has_model:
            return
        shown = self.shown
        was, shown.chat = shown.chat, recipe.chat
        try:
            clamps = [self.checked(clamp) for clamp in recipe.clamps]
        except MonosemError:
            shown.chat = was
            raise
        shown.prompt, shown.system, shown.sampling = recipe.prompt, recipe.system, recipe.sampling
        self.tray.take(clamps)
        self.forget_change()
        self.show_page("writing")
        self.tell(f"{printable(name)}, written again")
        self.replay(recipe)
        if recipe.dictionary:
            self._compare(recipe.dictionary)

    @work(thread=True, exit_on_error=False)
    def _compare(self, digest: str) -> None:
        """Away from the keys: the digest reads all of the dictionary."""
        if sae_digest(self.folder.sae) != digest:
            said = "the recipe was made with another dictionary than this run's: its features mean others"
            self.app.call_from_thread(self.tell, said)

    # Keeping

    def action_recipe(self) -> None:
        """Type under which name the recipe is to be kept, or in which file."""
        self._read_kept()
        self.type_text("recipe", free_name(self.run.name, [kept.name for kept in self.recipes.kept]))

    def action_export(self) -> None:
        """Type where the texts are to be kept."""
        self.type_text("export", free_file(Path(), self.run.name, ".txt"))

    def take_text(self, kind: str, text: str) -> None:
        """A name or a file."""
        said = text.strip()
        if kind == "recipe" and said:
            self._keep(said)
        elif kind == "export" and said:
            path = Path(said).expanduser()
            export(path, self.talk.recipe or self.recipe(), self.talk.writing, self.run.store.vocabulary)
            self.tell(f"both texts are in {path}")
        elif kind == "recipe file" and said:
            self._replay(said, Recipe.load(Path(said).expanduser()))
        elif kind not in ("recipe", "export", "recipe file"):
            super().take_text(kind, text)

    def _keep(self, name: str) -> None:
        if not self.shown.prompt:
            raise MonosemError("there is no prompt to keep", "p types one.")
        if any(kept.name == name for kept in self.recipes.kept):
            raise MonosemError(f"{printable(name)} is kept already", "Give another name; o shows the recipes.")
        begun, recipe = self.talk.begun, self.recipe()
        same = recipe.sweep or begun is None or self.shown.sweeping or begun == recipe
        self.tell(f"keeping {printable(name)}")
        self._write_recipe(name, recipe, "" if same else DIFFERS)

    @work(thread=True, exit_on_error=False)
    def _write_recipe(self, name: str, recipe: Recipe, differs: str) -> None:
        """Away from the keys: the digest reads all of the dictionary."""
        try:
            if "/" in name or name.endswith(".json"):
                path = Path(name).expanduser()
                save_recipe(path, recipe, self.folder.sae)
                said = f"the recipe is in {path}: monosem generate --recipe {path}"
            else:
                whole = replace(recipe, dictionary=sae_digest(self.folder.sae))
                keep_recipe(self.run.editor.notes, name, whole)
                said = f"{printable(name)} is kept in the notes: o shows it"
        except MonosemError as error:
            said, differs = " · ".join(filter(None, (error.what, error.hint))), ""
        self.app.call_from_thread(self.tell, said + differs)
