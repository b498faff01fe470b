// A line as small as a word: the course of one number beside it. No axes; the number says the rest.

export interface SparkProps {
  values: readonly (number | null)[];
  width?: number;
  height?: number;
  label?: string; // for screen readers; without it the spark is decoration
}

export function Spark({ values, width = 96, height = 22, label }: SparkProps) {
  const there = values.filter((value): value is number => value !== null);
  const low = Math.min(0, ...there);
  const high = Math.max(...there, low + 1e-9);
  const points = values
    .map((value, i) => (value === null ? '' : `${((i / Math.max(values.length - 1, 1)) * width).toFixed(1)},${(height - 1 - ((value - low) / (high - low)) * (height - 2)).toFixed(1)}`))
    .filter((point) => point !== '')
    .join(' ');
  return (
    <svg class="spark" width={width} height={height} viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role={label === undefined ? undefined : 'img'} aria-label={label} aria-hidden={label === undefined}>
      {there.length > 1 && <polyline points={points} fill="none" stroke="currentColor" stroke-width="1.25" vector-effect="non-scaling-stroke" />}
    </svg>
  );
}
