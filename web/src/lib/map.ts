// The map of the twin. It shows what it is given and tells where it was clicked; it knows nothing of the server's lists.
import { addProtocol, ImageSource, LngLatBounds, Map as MapLibre, Marker, NavigationControl, ScaleControl, setWorkerUrl, type GeoJSONSource } from 'maplibre-gl'
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?url'
import 'maplibre-gl/dist/maplibre-gl.css'
import type { FeatureCollection } from 'geojson'
import { Protocol } from 'pmtiles'
import { number, unitName } from './format'
import { style } from './mapstyle'
import { PIXEL_RATIO, symbols } from './symbols'
import type { Assets, Gauge, LonLat, Twin } from './types'
import { FLAG } from './words'

setWorkerUrl(new URL(workerUrl, import.meta.url).href)
addProtocol('pmtiles', new Protocol().tile)

const CALM = matchMedia('(prefers-reduced-motion: reduce)').matches
const HIT_PX = 5 // a hand that shakes at 3 a.m. still hits a gauge
const FLY_MS = CALM ? 0 : 600

/** A gauge's value for its label; a value that nobody trusts says so. */
function reading(gauge: Gauge): string {
  if (gauge.value === null) return FLAG[9]
  const words = `${number(gauge.value, gauge.unit)} ${unitName(gauge.unit)}`
  return gauge.flag > 2 ? `${words} (${FLAG[gauge.flag]})` : words
}

export interface Asked {
  place(at: LonLat): void
  gauge(site: string): void
}

export class TwinMap {
  private readonly map: MapLibre
  private readonly pin: Marker

  /** Resolves when the map can be poured into; rejects where there is no WebGL. */
  static make(box: HTMLElement, twin: Twin, asked: Asked): Promise<TwinMap> {
    return new Promise((resolve, reject) => {
      try {
        const made = new TwinMap(box, twin, asked)
        made.map.once('load', () => resolve(made))
      } catch (fault) {
        reject(fault instanceof Error ? fault : new Error(String(fault)))
      }
    })
  }

  private constructor(box: HTMLElement, twin: Twin, asked: Asked) {
    const bounds = new LngLatBounds(twin.bounds)
    const [w, s, e, n] = twin.bounds
    const margin = Math.max(e - w, n - s)
    this.map = new MapLibre({
      container: box,
      style: style(twin),
      bounds,
      fitBoundsOptions: { padding: 24 },
      maxBounds: [w - margin, s - margin, e + margin, n + margin],
      maxPitch: 75,
      attributionControl: { compact: false },
      fadeDuration: 0,
    })
    this.pin = new Marker({ color: '#ffffff', scale: 0.8 })
    this.map.addControl(new NavigationControl({ visualizePitch: true }), 'top-right')
    this.map.addControl(new ScaleControl({ maxWidth: 120 }), 'bottom-right')
    for (const [name, image] of symbols()) this.map.addImage(name, image, { pixelRatio: PIXEL_RATIO })
    this.map.getCanvas().setAttribute('aria-label', twin.name)
    this.map.on('click', (click) => {
      const site = this.gaugeNear(click.point)
      if (site) asked.gauge(site)
      else asked.place([click.lngLat.lng, click.lngLat.lat])
    })
    this.map.on('mousemove', (move) => {
      this.map.getCanvas().style.cursor = this.gaugeNear(move.point) ? 'pointer' : 'crosshair'
    })
  }

  /** Lay the picture of a forecast on its corners, or take it away. */
  hazard(picture: { url: string; corners: [LonLat, LonLat, LonLat, LonLat] } | null): void {
    const source = this.map.getSource('hazard')
    if (!picture) {
      if (this.map.getLayer('hazard')) this.map.removeLayer('hazard')
      if (source) this.map.removeSource('hazard')
    } else if (source instanceof ImageSource) {
      source.updateImage({ url: picture.url, coordinates: picture.corners })
    } else {
      this.map.addSource('hazard', { type: 'image', url: picture.url, coordinates: picture.corners })
      this.map.addLayer({ id: 'hazard', type: 'raster', source: 'hazard', paint: { 'raster-fade-duration': 0, 'raster-opacity': 1 } }, 'roads')
    }
  }

  roadsCut(lines: FeatureCollection): void {
    this.pour('cut', lines)
  }

  assets(kinds: Record<string, Assets>): void {
    const features = Object.entries(kinds).flatMap(([kind, all]) => all.features.map((f) => ({ ...f, properties: { ...f.properties, kind } })))
    this.pour('assets', { type: 'FeatureCollection', features })
  }

  gauges(gauges: Gauge[]): void {
    const features = gauges.map((g) => ({
      type: 'Feature' as const,
      properties: { site: g.site, level: g.level, blind: g.blind && g.level > 0, label: `${g.name}\n${reading(g)}` },
      geometry: { type: 'Point' as const, coordinates: [g.lon, g.lat] },
    }))
    this.pour('gauges', { type: 'FeatureCollection', features })
  }

  choose(site: string, zone: string): void {
    this.map.setFilter('gauge-chosen', ['==', ['get', 'site'], site])
    this.map.setFilter('zone-chosen', ['==', ['get', 'name'], zone])
  }

  /** Bring a place into the middle if it is not in sight. */
  lookAt(at: LonLat): void {
    if (!this.map.getBounds().contains(at)) this.map.easeTo({ center: at, duration: FLY_MS })
  }

  pinAt(at: LonLat | null): void {
    if (at) this.pin.setLngLat(at).addTo(this.map)
    else this.pin.remove()
  }

  middle(): LonLat {
    const { lng, lat } = this.map.getCenter()
    return [lng, lat]
  }

  terrain(on: boolean): void {
    this.map.setTerrain(on ? { source: 'dem', exaggeration: 2 } : null)
    this.map.easeTo({ pitch: on ? 55 : 0, bearing: 0, duration: FLY_MS })
  }

  destroy(): void {
    this.map.remove()
  }

  private gaugeNear({ x, y }: { x: number; y: number }): string {
    const gauges = this.map.queryRenderedFeatures(
      [
        [x - HIT_PX, y - HIT_PX],
        [x + HIT_PX, y + HIT_PX],
      ],
      { layers: ['gauges'] },
    )
    return String(gauges[0]?.properties['site'] ?? '')
  }

  private pour(source: string, data: FeatureCollection): void {
    ;(this.map.getSource(source) as GeoJSONSource).setData(data)
  }
}
