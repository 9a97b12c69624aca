/** Renders the files of a plan, one source at a time, when the writer asks for the next. */

import { readFile } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { filesOf } from './addresses'
import { SiteError } from './errors'
import { optimizeImage } from './images'
import { renderMarkdown } from './markdown'
import type { OutputFile } from './output'
import { isPublic, type Plan, type PlannedPage } from './plan'
import { renderJson, renderPage, renderText } from './templates'

const sizesOf = (files: readonly OutputFile[]) =>
  Object.fromEntries(files.map(({ path, data }) => [path, Buffer.byteLength(data)]))

/** The files of the theme and the images that have changed. */
export async function* renderAssets({ themeFiles, images }: Plan): AsyncGenerator<OutputFile> {
  yield* themeFiles
  for (const image of images) {
    if (image.entry) continue
    const { source, path, fingerprint } = image
    const data = await optimizeImage(source, await readFile(path)).catch((error: Error) => {
      throw new SiteError(`${source}: ${error.message}`)
    })
    const file = { path: source, data }
    image.entry = { source, fingerprint, files: sizesOf([file]) }
    yield file
  }
}

/** @param onPage is called with the number of pages done, including those that have not changed. */
export async function* renderPages(
  plan: Plan,
  onPage: (done: number, total: number) => void = () => {},
): AsyncGenerator<OutputFile> {
  const shown = plan.pages.filter(isPublic)
  let done = shown.filter(({ entry }) => entry).length
  onPage(done, shown.length)
  // New pages first: changed pages may link to them.
  const known = new Set(plan.cache.files)
  const isKnown = ({ source }: PlannedPage) => Number(known.has(filesOf(source).html))
  const outdated = plan.pages.filter(({ entry }) => !entry).sort((a, b) => isKnown(a) - isKnown(b))
  for (const page of outdated) {
    yield* renderOne(plan, page)
    if (isPublic(page)) onPage(++done, shown.length)
    // Rendering is synchronous. This lets signal handlers, the progress bar and finished writes run.
    await nextTurn()
  }
}

function renderOne({ frame }: Plan, planned: PlannedPage): OutputFile[] {
  const { source, fingerprint, modified, parsed } = planned
  if (parsed === undefined || parsed.front.draft) {
    planned.entry = { source, fingerprint, files: {} }
    return []
  }
  const { front, body } = parsed
  const content = renderMarkdown(body, source)
  const title = front.title ?? content.title ?? source
  const about = {
    title,
    description: front.description ?? content.description ?? title,
    date: front.date ?? modified,
  }
  const page = { source, ...about }
  const { html, json, text } = filesOf(source)
  // The HTML file last, because it links to the other two.
  const files = [
    { path: json, data: renderJson(frame, page, content.html) },
    { path: text, data: renderText(frame, page, body) },
    { path: html, data: renderPage(frame, page, content.html) },
  ]
  planned.entry = { source, fingerprint, files: sizesOf(files), page: about }
  return files
}
