/** What the specs of the killed writers share: a site in two versions, and a builder that dies on the way from one to the other. */

import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { recover } from '@pipeline/atomic'
import { parseXml, type XmlElement } from '@rgrove/parse-xml'
import { expect } from 'vitest'
import {
  build,
  cliBuild,
  contents,
  type Death,
  leftovers,
  namesIn,
  putPages,
  THEME,
  URL_OF_SITE,
  type Workplace,
} from './support'

const drawing = (width: number) => `<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h${width}"/></svg>`

/** Everything that a build writes, in one version or the next. */
function putVersion(place: Workplace, version: 'one' | 'two'): void {
  putPages(place, version)
  place.put('picture.svg', drawing(version === 'one' ? 1 : 2))
  const theme = join(place.root, 'theme')
  mkdirSync(theme, { recursive: true })
  cpSync(THEME, theme, { recursive: true })
  writeFileSync(join(theme, 'style.css'), `body { --version: ${version} }`)
  writeFileSync(join(theme, 'site.js'), `console.log('${version}')`)
  place.put(`only-in-${version}.md`, '# A page of one version\n')
  if (version === 'two') rmSync(join(place.source, 'only-in-one.md'))
}

/** Of the files that a visitor gets; the cache is the generator's own business, and checked by the next build. */
const served = (folder: string) => new Map([...contents(folder)].filter(([name]) => !name.startsWith('.')))

/** The targets of links between files of the site that lead nowhere. */
function deadLinks(site: ReadonlyMap<string, string>): string[] {
  const isThere = (path: string) => site.has(path.endsWith('/') || path === '' ? `${path}index.html` : path)
  const dead: string[] = []
  for (const [name, text] of site) {
    if (name.endsWith('.html')) {
      for (const [, link = ''] of text.matchAll(/(?:href|src)="([^":#]*)/g)) {
        const target = posix.join(posix.dirname(name), link).replace(/^\.\/?$/, '')
        if (!isThere(target)) dead.push(`${name} -> ${link}`)
      }
    } else if (name.endsWith('.xml')) {
      const locations = (element: XmlElement): string[] =>
        element.children.flatMap((child) => {
          if (child.type !== 'element') return []
          const inner = child as XmlElement
          return ['loc', 'link'].includes(inner.name) ? [inner.text] : locations(inner)
        })
      for (const url of locations(parseXml(text).root as XmlElement)) {
        if (!isThere(url.slice(URL_OF_SITE.length))) dead.push(`${name} -> ${url}`)
      }
    }
  }
  return dead
}

/**
 * Builds version one, has a builder of version two die, and expects: no file is torn, every link leads to something,
 * and the next build ends where an undisturbed one does, with nothing left over.
 *
 * @returns the files that had changed when the builder died.
 */
export async function changedByTheDying(place: Workplace, death: Death): Promise<string[]> {
  const inTheme = { theme: join(place.root, 'theme') }
  putVersion(place, 'one')
  await build(place, inTheme)
  const before = served(place.out)
  putVersion(place, 'two')
  await build(place, { ...inTheme, out: join(place.root, 'undisturbed') })
  const undisturbed = contents(join(place.root, 'undisturbed'))
  rmSync(join(place.root, 'undisturbed'), { recursive: true })

  const run = await cliBuild(place, ['--theme', inTheme.theme], { die: death })
  expect(run, run.stderr).toMatchObject({ code: null, signal: 'SIGKILL' })

  // What was committed is completed by whoever comes next.
  await recover(place.out)
  const after = served(place.out)
  for (const name of new Set([...before.keys(), ...after.keys()])) {
    if (/\.atomic-(?:tmp|txn)$|\.lock$/.test(name)) continue
    const isWhole = [before.get(name), undisturbed.get(name)].includes(after.get(name))
    expect(isWhole, `${name} is old or new`).toBe(true)
  }
  expect(deadLinks(after)).toEqual([])

  // In a process of its own: one sweeps a directory when it first writes there.
  expect(await cliBuild(place, ['--theme', inTheme.theme])).toMatchObject({ code: 0, stderr: '' })
  const unlike = [...contents(place.out)].filter(([name, text]) => undisturbed.get(name) !== text)
  expect(unlike.map(([name]) => name)).toEqual([])
  expect(namesIn(place.out)).toEqual([...undisturbed.keys()])
  expect(await leftovers(place)).toEqual([])
  return [...after].filter(([name, text]) => before.get(name) !== text).map(([name]) => name)
}
