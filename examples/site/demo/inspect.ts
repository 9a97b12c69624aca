/** Checks the site's files: is each of them complete? Nothing here relies on what the generator reports. */

import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, extname, join, sep } from 'node:path'
import { Transformer } from '@napi-rs/image'
import { parseXml } from '@rgrove/parse-xml'
import { END_OF_HTML, END_OF_TEXT } from '../lib/templates'

const GIF_TRAILER = 0x3b

/** @throws Error that tells what is wrong with the file. */
export async function checkFile(name: string, bytes: Buffer): Promise<void> {
  const digest = /^assets\/[a-z]+\.([0-9a-f]{10})\.[a-z]+$/.exec(name)?.[1]
  if (digest !== undefined) {
    const found = createHash('sha256').update(bytes).digest('hex').slice(0, digest.length)
    if (found !== digest) throw new Error('does not match the digest in its name')
    return
  }
  switch (extname(name)) {
    case '.html':
      return expectText(bytes, (text) => text.startsWith('<!doctype html>') && text.endsWith(END_OF_HTML))
    case '.json':
      return void JSON.parse(bytes.toString())
    case '.xml':
    case '.svg':
      return void parseXml(bytes.toString())
    case '.txt':
      return expectText(bytes, (text) => {
        const last = text.slice(0, -1).split('\n').at(-1)
        return text.endsWith('/\n') && last?.startsWith(END_OF_TEXT) === true
      })
    case '.gif':
      if (bytes.at(-1) !== GIF_TRAILER) throw new Error('does not end as it should')
      return
    default:
      // An image: decode every row.
      await new Transformer(bytes).rawPixels()
  }
}

function expectText(bytes: Buffer, isWhole: (text: string) => boolean): void {
  if (bytes.includes(0)) throw new Error('has NUL bytes')
  if (!isWhole(bytes.toString())) throw new Error('does not end as it should')
}

/** All files of a site, without the generator's own, whose names, or those of their folders, begin with a dot. */
export async function siteFiles(folder: string): Promise<string[]> {
  return (await allFiles(folder)).filter((file) => !file.split(sep).some((name) => name.startsWith('.')))
}

async function allFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true })
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1))
    .sort()
}

/** Temp files, lock files, pid files and staging folders: of a running builder, or left by a killed one. */
export async function leftoversIn(workplace: string): Promise<string[]> {
  const names = await readdir(workplace, { recursive: true })
  return names.filter((name) => /^\..*(?:\.atomic-\w+|\.lock|\.pid)$/.test(basename(name)))
}

/** The identity of each file. A file that was written again has another inode or another time. */
export async function identities(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const file of await siteFiles(folder)) {
    const { ino, mtimeNs } = await stat(join(folder, file), { bigint: true })
    found.set(file, `${ino} ${mtimeNs}`)
  }
  return found
}

export function changesBetween(before: Map<string, string>, after: Map<string, string>): string[] {
  const names = new Set([...before.keys(), ...after.keys()])
  return [...names].filter((name) => before.get(name) !== after.get(name)).sort()
}

/** The names of files that differ between two folders, or exist in only one of them. */
export async function differences(one: string, other: string): Promise<string[]> {
  const names = new Set([...(await siteFiles(one)), ...(await siteFiles(other))])
  const differ: string[] = []
  for (const name of names) {
    const [a, b] = await Promise.all(
      [one, other].map((folder) => readFile(join(folder, name)).catch(() => undefined)),
    )
    if (a === undefined || b === undefined || !a.equals(b)) differ.push(name)
  }
  return differ
}
