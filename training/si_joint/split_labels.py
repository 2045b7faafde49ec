import nibabel as nib, numpy as np, matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt, sys
from scipy import ndimage as ndi

R = "/work/shared/data/si_joint/"
PX = 0.595
# S1 top at the midline {slice: row}; first and last slice in which both bones meet at the joint
HAND = {
    "1007": dict(line={3: 261, 5: 250, 10: 243, 24: 240}, joint=(2, 13)),
    "1012": dict(line=None, joint=(3, 15)),
    "1013": dict(line={0: 178, 24: 182}, joint=(2, 16)),
    "1016": dict(line=None, joint=(4, 19)),
    "1234": dict(line={0: 206, 24: 208}, joint=(6, 19)),
    "2015": dict(line=None, joint=(3, 18)),
    "1001": dict(line=None, joint=(4, 16)),
    "2016": dict(line={2: 204, 8: 203, 14: 203, 15: 185, 24: 185}, joint=(3, 14)),
    "3009": dict(line=None, joint=(9, 24)),
}


def split(c):
    t1 = nib.load(R + c + "/t1.nii.gz").get_fdata()
    reg = nib.load(R + c + "/region.nii.gz").get_fdata() > 0
    K = reg.shape[2]
    h = HAND[c]
    ext = [(np.nonzero(reg[:, :, k].any(1))[0][[0, -1]]) for k in range(K)]
    mid = np.median([(a + b) / 2 for a, b in ext if (b - a) * PX > 110])
    X = (np.arange(336) - mid) * PX
    ln = h["line"]
    if ln is None:
        pts = []
        for k in range(K):
            lab, n = ndi.label(reg[:, :, k])
            for l in range(1, n + 1):
                m = lab == l
                xs = X[m.any(1)]
                if xs[0] < -45 and xs[-1] > 45:
                    band = m[np.abs(X) < 10]
                    if band.any():
                        pts.append((k, np.median([np.nonzero(r)[0][-1] for r in band if r.any()])))
        v = np.median([p[1] for p in pts])
        ln = {0: v, 24: v}
    top = np.interp(np.arange(K), list(ln), list(ln.values()))
    out = np.zeros(reg.shape, np.uint8)
    U = np.arange(22, 80, PX)
    j0, j1 = h["joint"]
    prev = {-1: None, 1: None}
    order = list(range((j0 + j1) // 2, j1 + 1)) + list(range((j0 + j1) // 2 - 1, j0 - 1, -1))
    paths = {}
    g = ndi.gaussian_filter(t1, (1, 1, 0))
    for s in (-1, 1):
        for k in order:
            m = reg[:, :, k].astype(float)
            loc = ndi.gaussian_filter(t1[:, :, k] * m, 10) / np.maximum(ndi.gaussian_filter(m, 10), 1e-3)
            dark = np.clip(1 - g[:, :, k] / np.maximum(loc, 1), -0.1, 0.6) * m
            lat = np.zeros_like(dark)
            for j in range(336):
                r = np.nonzero(m[:, j] * (s * X > 0))[0]
                if len(r):
                    lat[:, j] = np.clip(((s * X[r]).max() - s * X) / 9, 0, 1) * np.clip(
                        (s * X - (s * X[r]).min() + 2) / 5, 0, 1
                    )
            D = dark * lat
            xi = mid + s * U / PX
            DU = ndi.map_coordinates(
                D, [np.repeat(xi[:, None], 336, 1), np.repeat(np.arange(336.0)[None], len(U), 0)], order=1
            )
            ref = paths.get((s, k - 1)) if k > (j0 + j1) // 2 else paths.get((s, k + 1))
            cost = -DU
            rows = np.nonzero((m * (s * X[:, None] > 20)).any(0))[0]
            if ref is not None:
                cost = cost + 0.0025 * np.minimum(np.abs(U[:, None] - ref[None]), 8) ** 2
            a, b = rows[0], rows[-1]
            acc = np.full((len(U), 336), 1e9)
            bp = np.zeros((len(U), 336), int)
            acc[:, a] = cost[:, a]
            for j in range(a + 1, b + 1):
                best = acc[:, j - 1].copy()
                arg = np.arange(len(U))
                for d in (-1, 1):
                    sh = np.roll(acc[:, j - 1], d) + 0.03
                    if d == 1:
                        sh[0] = 1e9
                    else:
                        sh[-1] = 1e9
                    w = sh < best
                    best[w] = sh[w]
                    arg[w] = (np.arange(len(U)) - d)[w]
                acc[:, j] = best + cost[:, j]
                bp[:, j] = arg
            p = np.zeros(336)
            q = int(acc[:, b].argmin())
            for j in range(b, a - 1, -1):
                p[j] = U[q]
                q = bp[q, j]
            p[:a] = p[a]
            p[b + 1 :] = p[b]
            paths[(s, k)] = ndi.gaussian_filter1d(p, 2)
    for k in range(K):
        lab, n = ndi.label(reg[:, :, k])
        for l in range(1, n + 1):
            m = lab == l
            ci, cj = ndi.center_of_mass(m)
            xs = X[m.any(1)]
            x = (ci - mid) * PX
            lateral = max(-xs[0], xs[-1]) > 58 or abs(x) > 44
            if not lateral:
                out[:, :, k][m] = 3 if cj > top[k] + 2 else 1
                continue
            lbl = np.zeros_like(m, np.uint8)
            for s in (-1, 1):
                side = m & ((s * X) > 0)[:, None]
                if j0 <= k <= j1:
                    lbl[side] = np.where(((s * X)[:, None] > paths[(s, k)][None])[side], 2, 1)
                else:
                    lbl[side] = (
                        np.where(((s * X)[:, None] > 38 + 0 * paths[(s, j0)][None])[side], 2, 1)
                        if m[np.abs(X) < 5].any()
                        else 2
                    )
            jj = np.arange(336)[None] > top[k] + 6
            lbl[m & jj & (np.abs(X) < 38)[:, None]] = 3
            out[:, :, k][m] = lbl[m]
    return out, top, mid, t1, reg


if __name__ == "__main__":
    for c in sys.argv[1:]:
        out, top, mid, t1, reg = split(c)
        np.save(f"lab/{c}.npy", out)
        print(c, mid, np.bincount(out.ravel())[:4])
        fig, ax = plt.subplots(5, 5, figsize=(25, 25))
        for k in range(25):
            a = ax.flat[k]
            a.imshow(t1[20:316, :, k].T[::-1], cmap="gray", vmax=np.percentile(t1, 99.5))
            for v, co in ((1, "orange"), (2, "lime"), (3, "r")):
                m = out[20:316, :, k].T[::-1] == v
                if m.any():
                    a.contour(m, [0.5], colors=co, linewidths=1.2)
            a.axis("off")
            a.set_title(f"{c} k{k}")
            a.set_ylim(335, 0)
            a.axhline(335 - top[k], color="w", lw=0.6)
        plt.tight_layout(pad=0.2)
        plt.savefig(f"split_{c}.png", dpi=44)
        plt.close()
