/**
 * The files of the theme: stylesheet, script, logo, icon. Their names contain a digest of their content, so that browsers
 * can cache them without a limit, and a new version never replaces one that old pages still use.
 */

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ASSETS } from './addresses'
import { SiteError } from './errors'
import { optimizeSvg, rasterize } from './images'
import type { OutputFile } from './output'
import type { Frame } from './templates'

export const DEFAULT_THEME = join(__dirname, '../theme')

/** The files of a theme's folder. */
const SOURCES = { style: 'style.css', script: 'site.js', logo: 'logo.svg' } as const

export interface Theme {
  assets: Frame['assets']
  files: OutputFile[]
}

const ICON_SIZE = 180

export type ThemeSources = Record<keyof typeof SOURCES, string>

/** @throws SiteError if one of the files is missing. */
export async function readTheme(folder: string): Promise<ThemeSources> {
  const read = (name: string) =>
    readFile(join(folder, name), 'utf8').catch((error: Error) => {
      throw new SiteError(`a theme needs ${Object.values(SOURCES).join(', ')}: ${error.message}`)
    })
  const [style, script, logo] = await Promise.all([
    read(SOURCES.style),
    read(SOURCES.script),
    read(SOURCES.logo),
  ])
  return { style, script, logo }
}

async function minify(code: string, loader: 'css' | 'js'): Promise<string> {
  const { transform } = await import('esbuild')
  return (await transform(code, { loader, minify: true, target: 'es2020', logLevel: 'silent' })).code
}

function asset(name: string, extension: string, data: string | Buffer): OutputFile {
  const digest = createHash('sha256').update(data).digest('hex').slice(0, 10)
  return { path: `${ASSETS}/${name}.${digest}.${extension}`, data }
}

export async function makeTheme(sources: ThemeSources): Promise<Theme> {
  const named = <T>(name: keyof ThemeSources, made: Promise<T>): Promise<T> =>
    made.catch((error: Error) => {
      throw new SiteError(`${SOURCES[name]}: ${error.message}`)
    })
  const [style, script, logo, icon] = await Promise.all([
    named('style', minify(sources.style, 'css')).then((css) => asset('style', 'css', css)),
    named('script', minify(sources.script, 'js')).then((js) => asset('site', 'js', js)),
    named('logo', optimizeSvg(sources.logo)).then((svg) => asset('logo', 'svg', svg)),
    named('logo', rasterize(sources.logo, ICON_SIZE)).then((png) => asset('icon', 'png', png)),
  ])
  return {
    assets: { style: style.path, script: script.path, logo: logo.path, icon: icon.path },
    files: [style, script, logo, icon],
  }
}
