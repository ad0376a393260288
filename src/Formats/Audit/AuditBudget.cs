using IlgpuLoader.Formats.Torch;
using IlgpuLoader.Formats.Zip;

namespace IlgpuLoader.Formats;

/// <summary>
/// What the pickles of one file may take together: an archive can hold many that are each within the limits of one. Not safe for
/// several threads.
/// </summary>
/// <param name="file">The file.</param>
/// <param name="options">What is accepted.</param>
internal sealed class AuditBudget(CheckpointFile file, CheckpointOptions options)
{
    // An exception with its message and trace, which stays in the result.
    private const int FailureBytes = 2048;

    // A pickle's part of the result without its lists, and one opcode's count in it with the spelling of its name.
    private const int PickleBytes = 256, OpcodeBytes = 48;

    private long _inflatedBytes;

    /// <summary>What has been counted of <see cref="TorchLimits.MaximumPickleExpansionBytes"/>.</summary>
    public long SpentBytes { get; private set; }

    /// <summary>What has been counted of <see cref="TorchLimits.MaximumPickleValues"/>.</summary>
    public int SpentValues { get; private set; }

    /// <summary>Takes over what a reader that began with this budget has counted, and what is kept of its pickle.</summary>
    /// <param name="bytes">Its bytes, with those spent before.</param>
    /// <param name="values">Its values, with those before.</param>
    /// <param name="pickle">What is kept.</param>
    public void Spend(long bytes, int values, PickleAudit pickle)
    {
        (SpentBytes, SpentValues) = (bytes + PickleBytes + (pickle.Opcodes.Length * (long)OpcodeBytes), values);
        if (pickle.Failure is not null)
        {
            SpendFailure();
        }
    }

    /// <summary>A failure that is kept.</summary>
    public void SpendFailure() => SpentBytes += FailureBytes;

    /// <summary>Counts what is about to be inflated.</summary>
    /// <param name="name">The record.</param>
    /// <param name="length">Its size once it is inflated.</param>
    /// <exception cref="CheckpointLimitException">All records together are too long.</exception>
    public void Inflate(string name, long length)
    {
        if (length > options.Zip.MaximumInflatedBytes - _inflatedBytes)
        {
            throw new CheckpointLimitException(
                $"length of the inflated pickles up to zip entry {Quoted.Name(name)}",
                length > long.MaxValue - _inflatedBytes ? long.MaxValue : _inflatedBytes + length,
                options.Zip.MaximumInflatedBytes,
                $"{nameof(ZipLimits)}.{nameof(ZipLimits.MaximumInflatedBytes)}",
                file.Path,
                file.Format);
        }

        _inflatedBytes += length;
    }

    /// <summary>Stops where nothing is left for another pickle.</summary>
    /// <exception cref="CheckpointLimitException">Nothing is left.</exception>
    public void ThrowIfSpent()
    {
        var maximum = options.Torch.MaximumPickleExpansionBytes;
        var half = TorchContent.HalfOfRest(file, 0);
        if (SpentBytes > (half > long.MaxValue - maximum ? long.MaxValue : maximum + half))
        {
            throw Spent("memory of the values of all pickles in bytes", SpentBytes, maximum, nameof(TorchLimits.MaximumPickleExpansionBytes));
        }

        if (SpentValues > options.Torch.MaximumPickleValues)
        {
            throw Spent("number of the values of all pickles", SpentValues, options.Torch.MaximumPickleValues, nameof(TorchLimits.MaximumPickleValues));
        }
    }

    private CheckpointLimitException Spent(string what, long actual, long maximum, string option) =>
        new(what, actual, maximum, $"{nameof(TorchLimits)}.{option}", file.Path, file.Format);
}
