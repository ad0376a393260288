namespace IlgpuLoader.Loading;

/// <summary>Makes one progress of those of layers that are loaded one after the other.</summary>
/// <param name="progress">Where it goes; null for nowhere.</param>
/// <param name="totalBytes">The bytes of all layers.</param>
/// <param name="totalPieces">The pieces of all layers.</param>
internal sealed class LayerProgress(IProgress<LoadProgress>? progress, long totalBytes, int totalPieces)
{
    private long _bytes;
    private int _pieces;

    /// <summary>The progress of the next layer.</summary>
    /// <param name="layerBytes">Its bytes.</param>
    /// <param name="layerPieces">Its pieces.</param>
    public IProgress<LoadProgress>? Next(long layerBytes, int layerPieces)
    {
        var (bytes, pieces) = (_bytes, _pieces);
        _bytes += layerBytes;
        _pieces += layerPieces;
        return progress is null ? null : new OfLayer(progress, bytes, totalBytes, pieces, totalPieces);
    }

    private sealed class OfLayer(IProgress<LoadProgress> progress, long bytes, long totalBytes, int pieces, int totalPieces) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => progress.Report(new LoadProgress(bytes + value.BytesRead, totalBytes, pieces + value.TensorsLoaded, totalPieces));
    }
}
