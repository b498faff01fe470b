// Stacking: each series is drawn on the sum of those before it. A gap counts as nothing unless all have it.

export function stack(values: readonly (readonly (number | null)[])[]): (number | null)[][] {
  const count = values[0]?.length ?? 0;
  const sums = new Array<number>(count).fill(0);
  const there = new Array<boolean>(count).fill(false);
  for (const one of values) for (let i = 0; i < count; i++) if (one[i] !== null) there[i] = true;
  return values.map((one) => {
    const out = new Array<number | null>(count);
    for (let i = 0; i < count; i++) {
      sums[i]! += one[i] ?? 0;
      out[i] = there[i] ? sums[i]! : null;
    }
    return out;
  });
}
