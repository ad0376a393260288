using System.Buffers;
using System.Text;
using IlgpuLoader.Formats.Pickle;
using IlgpuLoader.Formats.Torch;

namespace IlgpuLoader.Formats;

/// <summary>
/// Finds what a file's bytes would import from its opcodes alone, where the stack machine here stops at something that Python's
/// goes past. Only names that can be Python's count, since the bytes of anything else may look like an opcode.
/// </summary>
internal static class PickleWalk
{
    private const int Window = 64 << 10;

    // The five of PyTorch before 1.6.
    private const int MostPickles = 5;

    // Longer than any name; what is longer is text of something else.
    private const int LongestName = 1024;

    /// <summary>Walks from a place to the end of the pickles there.</summary>
    /// <param name="file">The file.</param>
    /// <param name="start">Where the first begins.</param>
    /// <param name="limits">How many bytes are looked at, which those of long texts are not, and what is to be thought of a global.</param>
    /// <param name="cancellationToken">Cancels the reading, between windows at the latest.</param>
    /// <returns>What was found.</returns>
    public static async ValueTask<PickleRecorder> RunAsync(CheckpointFile file, long start, TorchLimits limits, CancellationToken cancellationToken)
    {
        var names = new WalkedNames(start);
        var (position, size, examined) = (start, Window, 0L);
        for (var pickles = 0; pickles < MostPickles && position < file.Length && examined < limits.MaximumPickleBytes;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var count = (int)Math.Min(size, file.Length - position);
            var rented = ArrayPool<byte>.Shared.Rent(count);
            try
            {
                var window = rented.AsMemory(0, count);
                await file.Source.ReadExactlyAsync(position, window, cancellationToken).ConfigureAwait(false);
                var extent = names.Walk(window.Span, position);
                if (extent.IsBroken)
                {
                    break;
                }

                examined += Math.Min(count, Math.Max(extent.Position, 1));
                pickles += extent.IsComplete ? 1 : 0;
                if (extent.Position == 0 && count == file.Length - position)
                {
                    break;
                }

                // A line that ends behind the window needs a larger one.
                if (extent.Position == 0 && size >= limits.MaximumPickleBytes)
                {
                    break;
                }

                size = extent.Position == 0 ? (int)Math.Min(4L * size, limits.MaximumPickleBytes) : Window;
                position += Math.Min(extent.Position, file.Length - position);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
        }

        return names.Recorder;
    }

    private sealed class WalkedNames(long start)
    {
        // An attack needs one; a million of them only fill memory.
        private const int MostNames = 1000;

        private readonly TorchGlobals _globals = new(admitsUnknown: false, isTorchScript: false);
        private (string First, string Second) _texts = ("", "");

        public PickleRecorder Recorder { get; } = new();

        public PickleExtent Walk(ReadOnlySpan<byte> bytes, long position)
        {
            var extent = new PickleExtent(0);
            for (var at = 0L; extent.TryAdvanceOne(bytes); at = extent.Position)
            {
                var opcode = (PickleOpcode)bytes[(int)at];
                Recorder.Add(opcode);
                if (extent.Position <= bytes.Length && extent.Position - at <= 2 * LongestName)
                {
                    Note(opcode, bytes[((int)at + 1)..(int)extent.Position], position + at - start);
                }
            }

            return extent;
        }

        private void Note(PickleOpcode opcode, ReadOnlySpan<byte> argument, long offset)
        {
            switch (opcode)
            {
                case PickleOpcode.Global or PickleOpcode.Inst:
                    var end = argument.IndexOf((byte)'\n');
                    Add(Encoding.Latin1.GetString(argument[..end]), Encoding.Latin1.GetString(argument[(end + 1)..^1]), offset);
                    break;
                case PickleOpcode.StackGlobal:
                    // The texts may come from the memo in any order; that there are some is what tells it from other bytes.
                    Add(_texts.First, _texts.Second, offset);
                    break;
                case PickleOpcode.ShortBinUnicode or PickleOpcode.ShortBinString:
                    Text(argument[1..]);
                    break;
                case PickleOpcode.BinUnicode or PickleOpcode.BinString:
                    Text(argument[4..]);
                    break;
                case PickleOpcode.BinUnicode8:
                    Text(argument[8..]);
                    break;
                case PickleOpcode.Unicode:
                    Text(argument[..^1]);
                    break;
                case PickleOpcode.String:
                    Text(argument[..^1].Trim("'\" \r"u8));
                    break;
                default:
                    break;
            }
        }

        private void Text(ReadOnlySpan<byte> bytes)
        {
            if (bytes.Length <= LongestName && Encoding.Latin1.GetString(bytes) is var text && AuditFindings.IsName(text))
            {
                _texts = (_texts.Second, text);
            }
        }

        private void Add(string module, string name, long offset)
        {
            if (Recorder.Globals.Count < MostNames && AuditFindings.IsName(module) && AuditFindings.IsName(name))
            {
                Recorder.Add(new PickleRecordedGlobal(module, name, offset, _globals.Verdict(module, name)));
            }
        }
    }
}
