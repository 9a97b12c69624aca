// Compiled, never run: the names that are about sweeping and inspecting, used as a user would, and misused where it says so.
import {
  type DirectoryAbility,
  type DirectoryInspection,
  type DirectoryTrait,
  type IndexLockState,
  type InspectOptions,
  inspectDirectory,
  inspectIndexLock,
  type KeptLeftover,
  type KeptReason,
  type Leftover,
  type LeftoverKind,
  type LockHolder,
  type SweepOptions,
  type SweepResult,
  sweep,
} from '@pipeline/atomic'

export async function sweeping(signal: AbortSignal) {
  const options: SweepOptions = { recursive: true, olderThan: 60_000, dryRun: true, signal }
  const { removed, kept, errors, mounts, directories }: SweepResult = await sweep('d', options)
  const sizes = removed.map(
    ({ path, rawPath, kind, size, age }: Leftover): [string, LeftoverKind, number] => [
      rawPath?.toString('hex') ?? path,
      kind,
      size + age,
    ],
  )
  const stays = kept.map(({ reason, holder, error }: KeptLeftover): [KeptReason, number | undefined] => [
    error ? 'failed' : reason,
    holder?.pid,
  ])
  console.log(sizes, stays, errors[0]?.code, mounts[0]?.length, directories.toFixed())
  const { held, lock, holder }: IndexLockState = await inspectIndexLock('i.json')
  const by: LockHolder | undefined = holder
  console.log(held, lock.length, by?.host, by?.since.getTime())
  // @ts-expect-error: an age is a number of milliseconds
  void sweep('d', { olderThan: '1h' })
  // @ts-expect-error: a lock is that of one index
  void inspectIndexLock(['a', 'b'])
}

export async function inspecting(options: InspectOptions): Promise<DirectoryAbility[]> {
  const { path, traits }: DirectoryInspection = await inspectDirectory('d', options)
  const missing = traits.filter(({ value }: DirectoryTrait) => value === false)
  console.log(
    path,
    missing.map(({ means }) => means.toUpperCase()),
  )
  for (const row of traits) if (row.name === 'flushTime') console.log(row.value?.toFixed(1))
  return traits.flatMap((row) => (row.name === 'locks' ? [row.name] : []))
}
