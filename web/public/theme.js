// Before the first paint: the theme that was chosen, so that nobody sees a flash of the other one.
try {
  var theme = localStorage.getItem('traceo.theme');
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
} catch (e) {
  // Storage may be forbidden; then the system's theme holds.
}
