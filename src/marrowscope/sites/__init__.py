"""What each imaging site is made of: bones, regions, codes and the scores that apply, as data files."""
