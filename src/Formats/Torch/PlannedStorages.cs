using System.Globalization;

namespace IlgpuLoader.Formats.Torch;

/// <summary>The storages of a file that is yet to be written, as the pickle that was made for it says.</summary>
/// <param name="count">How many there will be.</param>
internal sealed class PlannedStorages(int count) : TorchStorages
{
    private readonly Dictionary<string, TorchStorage> _found = [];

    /// <inheritdoc/>
    public override int Count => count;

    /// <inheritdoc/>
    public override bool IsBigEndian => false;

    /// <inheritdoc/>
    public override TorchStorage Find(string key, long byteLength, string? tensor)
    {
        if (!_found.TryGetValue(key, out var storage))
        {
            // Where it will begin is not known yet, and only has to differ.
            var order = int.Parse(key, NumberStyles.None, CultureInfo.InvariantCulture);
            _found.Add(key, storage = new TorchStorage(order, order, byteLength));
        }

        return storage;
    }
}
