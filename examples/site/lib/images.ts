/** Compresses images without a visible difference. The libraries are loaded only when an image has changed. */

/** Also removes scripts, which would run in a visitor's browser. */
export async function optimizeSvg(svg: string): Promise<string> {
  // The build for browsers is one file, and loads in a quarter of the time of the hundred files of that for Node.
  const { optimize } = await import('svgo/browser')
  return optimize(svg, { multipass: true, plugins: ['preset-default', 'removeScripts'] }).data
}

/** A square PNG of a vector image, for browsers that do not support SVG icons. */
export async function rasterize(svg: string, size: number): Promise<Buffer> {
  const { losslessCompressPng, Transformer } = await import('@napi-rs/image')
  return losslessCompressPng(await Transformer.fromSvg(svg).resize(size, size).png(), { strip: true })
}

/**
 * Compresses an image in its own format, which its extension tells. If the result is not smaller, or the format is not
 * supported, the image is returned unchanged.
 *
 * @throws Error if the content does not have the format of the extension.
 */
export async function optimizeImage(name: string, bytes: Buffer): Promise<Buffer> {
  const kind = name.slice(name.lastIndexOf('.') + 1).toLowerCase()
  if (kind === 'svg') return Buffer.from(await optimizeSvg(bytes.toString()))
  const { compressJpeg, losslessCompressPng } = await import('@napi-rs/image')
  const smaller =
    kind === 'png'
      ? await losslessCompressPng(bytes, { strip: true })
      : kind === 'jpg' || kind === 'jpeg'
        ? await compressJpeg(bytes)
        : bytes
  return smaller.length < bytes.length ? smaller : bytes
}
