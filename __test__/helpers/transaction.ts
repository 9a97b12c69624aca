// A root with four files in two folders, and transactions in it that are killed.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inProcess, type Remote } from './processes'

/** Two texts and two indexes. */
export const FILES = ['one/a.txt', 'one/b.txt', 'two/index.json', 'two/topics.json'] as const

/** Makes them, as of version 0. */
export function seed(dir: string): string {
  const root = join(dir, 'root')
  for (const folder of ['one', 'two']) mkdirSync(join(root, folder), { recursive: true })
  for (const file of FILES) writeFileSync(join(root, file), contentOf(file, 0))
  return root
}

/** What a file says in a version. */
export const contentOf = (file: string, version: number) =>
  file.endsWith('.json') ? JSON.stringify({ n: version }) : `version ${version}`

/** The version of each file. */
export const versions = (root: string) =>
  FILES.map((file) => Number(/\d+/.exec(readFileSync(join(root, file), 'utf8'))))

/** Raises all four files to that version, in one transaction. `folder`: where they are below the root, with a slash at its end. */
export const raise = async (
  { atomicTransaction }: Pick<Remote, 'atomicTransaction'>,
  root: string,
  n: number,
  folder = '',
) => {
  await atomicTransaction(root, (tx) => {
    for (const file of ['one/a.txt', 'one/b.txt']) tx.write(folder + file, `version ${n}`)
    for (const file of ['two/index.json', 'two/topics.json']) {
      tx.update(folder + file, () => ({ n }), { space: 0 })
    }
  })
}

/** A process that is killed when it is about to give the `when`th file its name (strace). */
export async function interrupt(root: string, when: number, n = 1, folder = ''): Promise<void> {
  const before = `set -- strace -f -qq -o /dev/null -e trace=renameat -e inject=renameat:signal=SIGKILL:when=${when} "$@"`
  const child = inProcess(raise, [root, n, folder], { before })
  await child.returned.catch(() => {})
  await child.exit
}

/** What transactions have left beside the files. */
export const staged = (root: string) =>
  readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.atomic-txn$|\.lock$/.test(name),
  )

/** What recovery has set aside. */
export const lost = (root: string) =>
  readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.atomic-lost'))
