// Compares what an index holds with what its writers were told.

export interface Told {
  writer: string
  acknowledged: number[]
}

export interface Account {
  /** How many updates were acknowledged. */
  acknowledged: number
  /** In the index, though nobody was told so: their writers were killed, or told that the outcome is unknown. */
  unheard: number
  /** Acknowledged, and not in the index. */
  lost: string[]
  /** More than once in the index. */
  doubled: string[]
}

export function account(index: Record<string, number[]>, told: Told[]): Account {
  const sum: Account = { acknowledged: 0, unheard: 0, lost: [], doubled: [] }
  for (const { writer, acknowledged } of told) {
    const held = index[writer] ?? []
    const present = new Set(held)
    sum.acknowledged += acknowledged.length
    sum.unheard += new Set(held.filter((number) => !acknowledged.includes(number))).size
    sum.lost.push(...acknowledged.filter((number) => !present.has(number)).map((n) => `${writer}: ${n}`))
    sum.doubled.push(
      ...held.filter((number, at) => held.indexOf(number) !== at).map((n) => `${writer}: ${n}`),
    )
  }
  return sum
}
