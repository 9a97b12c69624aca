/**
 * The paths of all files, and of all objects in a store. The content folder is read from the environment at each call, so that a process
 * (a test, a preview server) can change it. The slugs in a path have been validated by `document.ts`, which allows
 * neither separators nor dots.
 */

import { join, resolve } from 'node:path'
import type { PipelineDocument } from './document'

export const CONTENT_ENV = 'PIPELINE_CONTENT'

/** What was given last, which root that is, and the paths of its indexes: a publish asks for them a dozen times. */
let known = { given: '', root: '', system: new Map<string, string>() }

/** `$PIPELINE_CONTENT`, else `content` in the current folder: an absolute path, or a URL of an object store. */
export function contentRoot(): string {
  const given = process.env[CONTENT_ENV] || 'content'
  if (given === known.given) return known.root
  const isStore = isInStore(given)
  const root = isStore ? given.replace(/\/+$/, '') : resolve(given)
  // Where any other path leads changes with the current folder, or drive.
  if (isStore || root === given) known = { given, root, system: new Map() }
  return root
}

/** Whether the content is in an object store: `s3://bucket/site`. */
export function isInStore(path = contentRoot()): boolean {
  return /^(?:s3|az|gs):\/\//i.test(path)
}

/** `join` would make one slash of the two in a URL. */
function below(...names: string[]): string {
  const root = contentRoot()
  return isInStore(root) ? [root, ...names].join('/') : join(root, ...names)
}

function systemPath(name: string): string {
  if (contentRoot() !== known.root) return below('_system', name)
  const path = known.system.get(name) ?? below('_system', name)
  known.system.set(name, path)
  return path
}

export const contentIndexPath = () => systemPath('contentIndex.json')
export const contentIndexBackupPath = () => systemPath('contentIndex.json.backup')
export const topicIndexPath = () => systemPath('topicIndex.json')
export const publishMetricsPath = () => systemPath('publish-metrics.json')
export const lockMetricsPath = () => systemPath('lock-metrics.json')
/** In a store the indexes are parts of one object. */
export const indexesPath = () => systemPath('indexes.json')

/** The folders under the content root that hold documents, by page type. */
export const FOLDERS = {
  blog: 'blog',
  species: 'species',
  'how-to': 'how-to',
  location: 'locations',
} as const

function address(doc: PipelineDocument): string[] {
  return doc.pageType === 'location' ? [doc.stateSlug, doc.citySlug] : [doc.slug]
}

export function documentPath(doc: PipelineDocument): string {
  return `${below(FOLDERS[doc.pageType], ...address(doc))}.json`
}

/** The object that holds one version of a document in a store. Nothing else is ever written there. */
export function versionPath(doc: PipelineDocument, contentHash: string): string {
  return below(FOLDERS[doc.pageType], ...address(doc), `${contentHash}.json`)
}

/** The document's URL path on the site. */
export function routePath(doc: PipelineDocument): string {
  return `/${[FOLDERS[doc.pageType], ...address(doc)].join('/')}`
}

export function topicKeyOf(doc: PipelineDocument): string {
  switch (doc.pageType) {
    case 'blog':
      return `blog::${doc.slug}`
    case 'species':
      return `species::${doc.slug}::global`
    case 'how-to':
      return `howto::${doc.slug}`
    case 'location':
      return `location::${doc.stateSlug}::${doc.citySlug}`
  }
}
