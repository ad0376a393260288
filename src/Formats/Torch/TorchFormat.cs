using System.Numerics;
using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// Recognises and reads what PyTorch wrote before 1.6 (five pickles, then the storages) and bare pickles with arrays of NumPy.
/// Its zip archives are read by <see cref="TorchArchive"/>.
/// </summary>
/// <param name="limits">What is accepted from a file.</param>
internal sealed class TorchFormat(TorchLimits limits) : CheckpointFormat
{
    // The first two pickles are numbers of some bytes, and the third describes a machine in 150 with any protocol.
    private const int LargestPreamble = 4096;

    /// <inheritdoc/>
    public override string Name => TorchConstants.Format;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Extensions => [".bin", ".pt", ".pth", ".ckpt"];

    /// <inheritdoc/>
    /// <remarks>
    /// Protocols 2 to 5 name themselves. Those before have no mark: they are text, or a stack of opcodes that are letters, so all
    /// of the first bytes must be opcodes with arguments that can be.
    /// </remarks>
    public override bool Matches(ReadOnlySpan<byte> head) => head switch
    {
        [(byte)PickleOpcode.Protocol, >= 2 and <= 5, ..] => true,
        [(byte)PickleOpcode.Mark or (byte)PickleOpcode.Global or (byte)PickleOpcode.EmptyList or (byte)PickleOpcode.EmptyDict, ..] =>
            PicklePlausibility.Of(head),
        _ => head.StartsWith(TorchConstants.StreamMagicText) || IsOtherMagic(head),
    };

    /// <inheritdoc/>
    public override async ValueTask<FileContent> ReadAsync(
        CheckpointFile file, ReadOnlyMemory<byte> head, CancellationToken cancellationToken)
    {
        if (!Matches(head.Span))
        {
            // Only its name says that it is one.
            throw new InvalidCheckpointException(
                CheckpointErrorCode.UnknownFormat,
                file.Path,
                head.IsEmpty
                    ? "the file is empty, and a PyTorch checkpoint is a zip archive or a pickle: fetch it again."
                    : $"the first bytes, {Convert.ToHexString(head.Span[..Math.Min(8, head.Length)])}, are those of no PyTorch checkpoint, which is a zip archive or a pickle: "
                    + "the file is something else, or broken; fetch it again.",
                Name,
                0);
        }

        var pickles = new PickleStream(file, limits);
        var globals = new TorchGlobals(limits.AllowUnknownGlobals, isTorchScript: false);
        var references = new List<PickleStorageReference>();
        var (spentBytes, spentValues) = (0L, 0);
        var (first, protocol) = await NextAsync().ConfigureAwait(false);
        if (first is not (BigInteger or long))
        {
            return ReadBare(file, first, protocol, pickles, cancellationToken);
        }

        if (first is not BigInteger magic || magic != TorchConstants.StreamMagic)
        {
            throw Invalid(CheckpointErrorCode.UnknownFormat, $"the file begins with the number {first} as a pickle, and PyTorch's magic number is {TorchConstants.StreamMagic}");
        }

        HoldSmall(0, "a number");
        if ((await NextAsync().ConfigureAwait(false)).Value is var version and not TorchConstants.StreamProtocol)
        {
            throw Invalid(
                CheckpointErrorCode.UnknownVersion,
                $"the protocol is {(version is long or BigInteger ? version : "no number")}, and the only one that streams of PyTorch's have is {TorchConstants.StreamProtocol}");
        }

        var third = pickles.Position;
        HoldSmall(0, "two numbers");
        var machine = (await NextAsync().ConfigureAwait(false)).Value;
        HoldSmall(third, "a few words");
        if (machine is not PickleDictionary system)
        {
            throw Invalid(CheckpointErrorCode.PickleInvalid, "the third pickle, which says of what kind of machine the numbers are, is no dict");
        }

        references.Clear();
        var (value, objectProtocol) = await NextAsync().ConfigureAwait(false);
        PickleStorageReference[] named = [.. references];
        var keys = (await NextAsync().ConfigureAwait(false)).Value;
        // Files of the first versions have no such entry; all machines that wrote them were little-endian.
        var saysBigEndian = system.Entries.Exists(entry => entry is { Key: "little_endian", Value: false });
        var storages = await StreamStorages.ReadAsync(file, named, keys, pickles.Position, saysBigEndian, cancellationToken).ConfigureAwait(false);
        var content = TorchContent.Make(
            file, value, storages, limits, pickles.Held, new TorchHeader(TorchContainer.Stream, null, storages.IsBigEndian, null, objectProtocol, 0), cancellationToken);
        return WithTrailing(content, storages.End);

        async ValueTask<(object Value, int Protocol)> NextAsync()
        {
            var offset = pickles.Position;
            var bytes = await pickles.NextAsync(cancellationToken).ConfigureAwait(false);
            var settings = limits.ForPickle(globals.Verdict, file.Path, Name, offset, TorchContent.HalfOfRest(file, pickles.Held)) with
            {
                References = Note,
                // All of them are in memory together, and share what a file may cost.
                SpentBytes = spentBytes,
                SpentValues = spentValues,
            };
            var reader = new PickleReader(bytes, settings);
            var read = reader.Read(cancellationToken);
            (spentBytes, spentValues) = (reader.SpentBytes, reader.SpentValues);
            return (read, PickleStream.ProtocolOf(bytes.Span));
        }

        void HoldSmall(long start, string content)
        {
            if (pickles.Position - start > LargestPreamble)
            {
                throw Invalid(
                    CheckpointErrorCode.PickleInvalid,
                    $"a pickle in front of the object's ends at byte {pickles.Position}, and holds {content}, which fit {LargestPreamble} bytes");
            }
        }

        // A class of a module comes as ('module', class, file, source), none of which is looked at but the class's name.
        object Note(PickleStorageReference reference)
        {
            if (reference.Id.Items is ["module", PickleGlobal module, ..])
            {
                return module;
            }

            references.Add(reference);
            return reference;
        }

        InvalidCheckpointException Invalid(CheckpointErrorCode code, string problem) =>
            new(code, file.Path, $"{problem}; the file is no checkpoint, or one that is broken.", Name, 0);

        FileContent WithTrailing(FileContent read, long end) => end == file.Length
            ? read
            : read with
            {
                // As torch.load does, which leaves the file where the next torch.save into it began.
                Warnings = [.. read.Warnings, $"{file.Length - end} bytes follow the end of the checkpoint and are not read; several may have been saved into one file."],
            };
    }

    private FileContent ReadBare(CheckpointFile file, object value, int protocol, PickleStream pickles, CancellationToken cancellationToken)
    {
        var content = TorchContent.Make(
            file, value, new NoStorages(file), limits, pickles.Held, new TorchHeader(TorchContainer.Pickle, null, false, null, protocol, 0), cancellationToken);
        if (content.Tensors.Count == 0)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.NoWeights,
                file.Path,
                "this is a pickle that PyTorch did not write as a checkpoint, and there are no arrays of NumPy in it: it holds no weights.",
                Name,
                0);
        }

        return pickles.Position == file.Length
            ? content
            : content with { Warnings = [.. content.Warnings, $"{file.Length - pickles.Position} bytes follow the pickle and are not read."] };
    }

    // A number in text as the first pickle: the magic number of something else, which the reading explains.
    private static bool IsOtherMagic(ReadOnlySpan<byte> head) =>
        head is [(byte)PickleOpcode.Long, (byte)'-' or (>= (byte)'0' and <= (byte)'9'), ..]
        && head.IndexOf("L\n."u8) is var end and > 0
        && !head[2..end].ContainsAnyExceptInRange((byte)'0', (byte)'9');
}
