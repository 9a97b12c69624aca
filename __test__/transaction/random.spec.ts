// Random operations of three processes at a time, one of which is killed in every other round: what is there afterwards is
// what they make one after the other, each as a whole or not at all. `ATOMIC_SEEDS=2000` runs so many seeds.

import { expect } from 'vitest'
import { test } from '../helpers/test'
import { problemsOf } from '../helpers/transaction-model'

const SEEDS = Number(process.env.ATOMIC_SEEDS ?? 4)
const ROUNDS = 20

test(
  `${SEEDS} seeds: each round is explained by an order of its operations`,
  async ({ dir }) => {
    for (let seed = 1; seed <= SEEDS; seed++) expect(await problemsOf(dir, seed, ROUNDS)).toEqual([])
  },
  Math.max(5, SEEDS) * 60_000,
)
