// Colours of series: ten hues of about equal weight, told apart by the colour-blind in this order, one set per theme.
// A series keeps its colour while the chart lives, whatever comes and goes beside it.

const DARK = ['#4fd1b8', '#7aa2f7', '#e5b567', '#e07a8b', '#a78bda', '#8fce6a', '#5fb8e8', '#e8956b', '#d68fd6', '#b8c26a'];
const LIGHT = ['#0b8f7a', '#3563d0', '#b07d12', '#c23b55', '#7448b8', '#4c8f23', '#1a86bd', '#c45a22', '#a741a7', '#7d8713'];

export function seriesColor(index: number, theme: 'dark' | 'light'): string {
  const colors = theme === 'dark' ? DARK : LIGHT;
  return colors[index % colors.length]!;
}

/** Remembers which place a name has. Begin one per chart. */
export function colorKeeper(): (name: string) => number {
  const places = new Map<string, number>();
  return (name) => {
    let place = places.get(name);
    if (place === undefined) {
      place = places.size;
      places.set(name, place);
    }
    return place;
  };
}

export function withAlpha(color: string, alpha: number): string {
  const number = parseInt(color.slice(1), 16);
  return `rgba(${number >> 16}, ${(number >> 8) & 255}, ${number & 255}, ${alpha})`;
}
