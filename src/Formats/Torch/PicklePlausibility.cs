using System.Buffers;
using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// Whether bytes without a mark of their own can be the beginning of a pickle of protocol 0 or 1: a page, a text or a number
/// may begin with the same letter.
/// </summary>
internal static class PicklePlausibility
{
    // Fewer opcodes than these are no evidence, unless the last of them is STOP.
    private const int Enough = 4;

    private static readonly SearchValues<byte> NameCharacters =
        SearchValues.Create("._0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    private static readonly SearchValues<byte> NumberCharacters = SearchValues.Create("+-.0123456789eEinfaL"u8);

    /// <summary>Whether all of the first bytes are opcodes with arguments that can be.</summary>
    public static bool Of(ReadOnlySpan<byte> head)
    {
        var extent = new PickleExtent(0);
        var count = 0;
        while (true)
        {
            var at = extent.Position;
            if (at >= head.Length)
            {
                return count >= Enough;
            }

            if (!IsPlausible(head[(int)at..]))
            {
                return false;
            }

            if (!extent.TryAdvanceOne(head))
            {
                // Its argument is cut where the first bytes end, or it is none.
                return !extent.IsBroken && count >= Enough;
            }

            if (extent.IsComplete)
            {
                return true;
            }

            count++;
        }
    }

    private static bool IsPlausible(ReadOnlySpan<byte> rest)
    {
        var argument = rest[1..];
        var end = argument.IndexOf((byte)'\n');
        var line = end < 0 ? argument : argument[..end];
        return (PickleOpcode)rest[0] switch
        {
            PickleOpcode.Global or PickleOpcode.Inst => IsName(line) && (end < 0 || IsName(FirstLine(argument[(end + 1)..]))),
            PickleOpcode.Put or PickleOpcode.Get => !line.IsEmpty && !line.ContainsAnyExceptInRange((byte)'0', (byte)'9'),
            PickleOpcode.Int or PickleOpcode.Long or PickleOpcode.Float => !line.IsEmpty && !line.ContainsAnyExcept(NumberCharacters),
            PickleOpcode.String => line is [(byte)'\'' or (byte)'"', ..],
            _ => true,
        };
    }

    private static ReadOnlySpan<byte> FirstLine(ReadOnlySpan<byte> bytes) => bytes.IndexOf((byte)'\n') is var end and >= 0 ? bytes[..end] : bytes;

    private static bool IsName(ReadOnlySpan<byte> line) => !line.ContainsAnyExcept(NameCharacters);
}
