using System.Text;
using IlgpuLoader.Formats.Pickle;
using IlgpuLoader.Formats.Torch;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>
/// Pickles that ask for much (P10). Whatever they hold, what is allocated stays within their size and 64 MiB, and each limit
/// says how it is raised. <see cref="PickleReading"/> holds every reading of these tests against the bound.
/// </summary>
public sealed class PickleLimitTests
{
    [Theory]
    [InlineData("\u0085", 1000)]
    [InlineData("\u0085", 100_000)]
    public void P10_TuplesInTuples_BeyondTheLimitAreRefused(string wrap, int times)
    {
        var pickle = PickleReading.Bytes(")" + string.Concat(Enumerable.Repeat(wrap, times)) + ".");
        var exception = Beyond(pickle, nameof(TorchLimits.MaximumPickleDepth));
        Assert.Equal((1001, 1000), (exception.Actual, exception.Maximum));
    }

    [Fact]
    public void P10_TuplesInTuples_UpToTheLimitAreRead()
    {
        var pickle = PickleReading.Bytes(")" + new string('\u0085', 999) + ".");
        Assert.Equal(1000, Assert.IsType<PickleTuple>(PickleReading.Read(pickle)).Depth);
    }

    [Theory]
    // Lists, dicts' keys and values, sets, arguments, states, storages and their like inside one another.
    [InlineData("", "](", "e", false)]
    [InlineData("", "(", "l", false)]
    [InlineData("", "(N", "d", false)]
    [InlineData("", "}(N", "u", false)]
    [InlineData("", "}", "Ns", false)]
    [InlineData("", "(", "\u0091", false)]
    [InlineData("", "\u008f(", "\u0090", false)]
    [InlineData("", "cm\nclass\n", "\u0085R", false)]
    [InlineData("", "cm\nclass\n)R", "b", false)]
    [InlineData("", "cm\nclass\n)}N", "s\u0092", false)]
    [InlineData("", "cm\ndictionary\n)RN", "s", false)]
    [InlineData("", "cm\nunknown\n)R", "a", false)]
    [InlineData("", "", "\u0085Q", false)]
    // The outer before the inner: a list that goes into the one before it while it is empty.
    [InlineData("]q\0", "]q\u0001ah\u0001", "", true)]
    [InlineData("}q\0", "N}q\u0001sh\u0001", "", true)]
    [InlineData("cm\nunknown\n)R", "cm\nunknown\n)Rq\u0001bh\u0001", "", true)]
    public void P10_ContainersInContainers_BeyondTheLimitAreRefused(string first, string open, string close, bool isFirstKept)
    {
        const int levels = 20_000;
        var pickle = new StringBuilder(first);
        _ = isFirstKept ? pickle.Append("q\u0002") : pickle;
        for (var level = 0; level < levels; level++)
        {
            _ = pickle.Append(open);
        }

        _ = isFirstKept ? pickle : pickle.Append(')');
        for (var level = 0; level < levels; level++)
        {
            _ = pickle.Append(close);
        }

        _ = isFirstKept ? pickle.Append("h\u0002.") : pickle.Append('.');
        var exception = Beyond(PickleReading.Bytes(pickle.ToString()), nameof(TorchLimits.MaximumPickleDepth));
        Assert.InRange(exception.Actual, 1001, 2001);
    }

    [Fact]
    public void P10_ChildrenThatKnowTheirParent_AreNotDeep()
    {
        // As modules with a reference to their parent are, more of them than the limit: depth is not counted round the circle.
        var pickle = new StringBuilder("]q\0");
        for (var child = 0; child < 5000; child++)
        {
            _ = pickle.Append("cm\nclass\n)R}h\0h\0sba");
        }

        var list = Assert.IsType<PickleList>(PickleReading.Read(PickleReading.Bytes(pickle + ".")));
        Assert.Equal(5000, list.Items.Count);
        Assert.InRange(list.Depth, 1, 10);
    }

    [Fact]
    public void P10_LongOf255Bytes_IsBeyondTheLimit()
    {
        var exception = Beyond([0x8a, 255, .. new byte[255], (byte)'.'], nameof(TorchLimits.MaximumPickleIntegerBytes));
        Assert.Equal((255, 64), (exception.Actual, exception.Maximum));
        Assert.Equal(0L, PickleReading.Read([0x8a, 64, .. new byte[64], (byte)'.']));
    }

    [Fact]
    public void P10_LongOf32MebibytesAndOfAMillionDigits_AreBeyondTheLimit()
    {
        _ = Beyond([0x8b, 0, 0, 0, 2, .. new byte[32 << 20], (byte)'.'], nameof(TorchLimits.MaximumPickleIntegerBytes));
        _ = Beyond(PickleReading.Bytes("L" + new string('9', 1_000_000) + "L\n."), nameof(TorchLimits.MaximumPickleIntegerBytes));
        _ = Beyond(PickleReading.Bytes("I" + new string('9', 160) + "\n."), nameof(TorchLimits.MaximumPickleIntegerBytes));
    }

    [Fact]
    public void P10_ListsDoubledThroughTheMemo_AreAsLargeAsTheirPickle()
    {
        // Each holds the one before it twice: 2^31 values to whoever walks them all, 31 lists here.
        var pickle = new StringBuilder("]q\0");
        for (var level = 0; level < 31; level++)
        {
            _ = pickle.Append($"0](h{(char)level}h{(char)level}eq{(char)(level + 1)}");
        }

        var list = Assert.IsType<PickleList>(PickleReading.Read(PickleReading.Bytes(pickle + ".")));
        Assert.Equal(32, list.Depth);
        Assert.Same(list.Items[0], list.Items[1]);
    }

    [Theory]
    [InlineData("", "N")]
    [InlineData("", "}")]
    [InlineData("", "]")]
    [InlineData("", "\u008f")]
    [InlineData("", "]0")]
    [InlineData("N", "2")]
    [InlineData("", "(Nt")]
    [InlineData("", "N\u00850")]
    [InlineData("]", "(NNNNe")]
    [InlineData("}", "NNs")]
    [InlineData("", "M\u0001\u00100")]
    [InlineData("", "G\0\0\0\0\0\0\0\u00010")]
    [InlineData("", "\u008a\u0009\0\0\0\0\0\0\0\0\u00010")]
    [InlineData("", "I99999999999999999999\n0")]
    [InlineData("", "U\u0001a0")]
    [InlineData("", "\u008c\0" + "0")]
    [InlineData("", "C\0" + "0")]
    [InlineData("", "\u008c\u0003\u00ed\u00a0\u00800")]
    [InlineData("", "Va\n0")]
    [InlineData("", "V\\u0041\n0")]
    [InlineData("", "S'\\0'\n0")]
    [InlineData("", "cm\nclass\n0")]
    [InlineData("cm\nclass\nq\0", "h\0)R0")]
    [InlineData("cm\nunknown\n)Rq\0", "h\0)RNa0")]
    [InlineData("", ")Q0")]
    public void P10_SmallOpcodesOfLargeValues_AreStoppedByTheMemoryTheyTake(string first, string opcodes)
    {
        var pickle = Repeated(first, opcodes, 3_000_000 * opcodes.Length);
        var exception = PickleReading.Refused<CheckpointLimitException>(pickle);
        Assert.Equal("TorchLimits.MaximumPickleExpansionBytes", exception.Option);
    }

    [Theory]
    // Nothing but work, of which each byte makes little.
    [InlineData("N", "20")]
    [InlineData("N", "(1")]
    [InlineData("N", "(t0")]
    [InlineData("Nq\0", "h\0q\u00010")]
    [InlineData("N", "K\u00010")]
    public void P10_OpcodesThatKeepNothing_AreRead(string first, string opcodes)
    {
        Assert.Same(PickleNone.Instance, PickleReading.Read(Repeated(first, opcodes, 9_000_000)));
    }

    [Theory]
    [InlineData("(", 0)]
    [InlineData("(", 10L << 30)]
    [InlineData("N", 10L << 30)]
    [InlineData(")", 10L << 30)]
    public void P10_HighStacks_AreStoppedHoweverLargeTheFileIs(string opcode, long otherBytes)
    {
        var pickle = Repeated("N", opcode, 10_000_000);
        var reader = new PickleReader(pickle, PickleReading.Settings(otherBytes: otherBytes));
        var before = GC.GetAllocatedBytesForCurrentThread();
        var exception = Assert.Throws<CheckpointLimitException>(() => reader.Read());
        // All arrays on the way to the largest stack that there may be, which is a power of two, and what threads set aside.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, (2 * sizeof(long) * (1L << 22)) + (1 << 20));
        Assert.Equal("TorchLimits.MaximumPickleValues", exception.Option);
        Assert.Equal(((1 << 22) + 1, 1 << 22), (exception.Actual, exception.Maximum));
    }

    [Fact]
    public void P10_MemoEntriesFarApart_TakeMemoryForThemselvesOnly()
    {
        var pickle = new List<byte> { (byte)'N' };
        for (var entry = 0; entry < 10_000; entry++)
        {
            pickle.Add((byte)'r');
            pickle.AddRange(BitConverter.GetBytes(0x7fff0000u + (uint)(entry * 7919)));
        }

        pickle.Add((byte)'.');
        var reader = new PickleReader(pickle.ToArray(), PickleReading.Settings());
        var before = GC.GetAllocatedBytesForCurrentThread();
        _ = reader.Read();
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 2_000_000);
    }

    [Theory]
    [InlineData(1u)]
    [InlineData(1000u)]
    public void P10_MemoEntries_BeyondTheLimitAreRefused(uint step)
    {
        var limits = TorchLimits.Default with { MaximumPickleMemoEntries = 1000 };
        var pickle = new List<byte> { (byte)'N' };
        for (var entry = 0u; entry < 1000; entry++)
        {
            pickle.AddRange([(byte)'r', .. BitConverter.GetBytes(entry * step), (byte)'r', .. BitConverter.GetBytes(entry * step)]);
        }

        _ = PickleReading.Read([.. pickle, (byte)'.'], PickleReading.Settings(limits));
        var exception = Beyond([.. pickle, (byte)'r', .. BitConverter.GetBytes(1000 * step), (byte)'.'], nameof(TorchLimits.MaximumPickleMemoEntries), limits);
        Assert.Equal((1001, 1000), (exception.Actual, exception.Maximum));
    }

    [Fact]
    public void P10_MoreMemoEntriesThanTheDefault_StayWithinTheBound()
    {
        var exception = PickleReading.Refused<CheckpointLimitException>(Repeated("N", "\u0094", 20_000_000));
        Assert.StartsWith("TorchLimits.MaximumPickle", exception.Option, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("X\u0005\0\0\0hello.")]
    [InlineData("U\u0005hello.")]
    [InlineData("C\u0005hello.")]
    [InlineData("Vhello\n.")]
    [InlineData("chello\nx\n.")]
    [InlineData("\u0096\u0005\0\0\0\0\0\0\0hello.")]
    public void P10_StringsLongerThanTheLimit_AreRefused(string pickle)
    {
        var limits = TorchLimits.Default with { MaximumPickleStringBytes = 4 };
        var exception = Beyond(PickleReading.Bytes(pickle), nameof(TorchLimits.MaximumPickleStringBytes), limits);
        Assert.Equal((5, 4), (exception.Actual, exception.Maximum));
    }

    [Fact]
    public void P10_LargestStrings_StayWithinTheBound()
    {
        byte[] text = [(byte)'X', 0, 0, 0, 2, .. Enumerable.Repeat((byte)'a', 32 << 20), (byte)'.'];
        _ = Beyond(text, nameof(TorchLimits.MaximumPickleExpansionBytes));
        Assert.Equal(32 << 20, Assert.IsType<string>(PickleReader(text, 32 << 20)).Length);
        byte[] bytes = [(byte)'B', 0, 0, 0, 2, .. new byte[32 << 20], (byte)'.'];
        Assert.Equal(32 << 20, Assert.IsType<byte[]>(PickleReading.Read(bytes)).Length);
    }

    [Fact]
    public void P10_Values_BeyondTheLimitAreRefused()
    {
        var limits = TorchLimits.Default with { MaximumPickleValues = 10 };
        Assert.Equal("([], [], [], [], [], [], [], [], [])", PickleReading.Shown("(]]]]]]]]]t.", PickleReading.Settings(limits)));
        var exception = Beyond(PickleReading.Bytes("(]]]]]]]]]]t."), nameof(TorchLimits.MaximumPickleValues), limits);
        Assert.Equal((11, 10), (exception.Actual, exception.Maximum));
    }

    [Fact]
    public void P10_TheRestOfTheFile_IsAddedToTheMemoryThatValuesMayTake()
    {
        var pickle = Repeated("(", "]", 100_000);
        var limits = TorchLimits.Default with { MaximumPickleExpansionBytes = 1000 };
        var exception = Assert.Throws<CheckpointLimitException>(() => new PickleReader(pickle, PickleReading.Settings(limits)).Read());
        Assert.Equal(1000, exception.Maximum);
        Assert.InRange(exception.Actual, 1001, 2000);
        byte[] whole = [.. pickle[..^1], (byte)'t', (byte)'.'];
        Assert.Equal(
            100_000, Assert.IsType<PickleTuple>(PickleReading.Read(whole, PickleReading.Settings(limits, 20_000_000))).Items.Length);
    }

    [Fact]
    public void Limits_AreNamedAsTheOptionsThatRaiseThem()
    {
        var limits = typeof(PickleSettings).GetProperties().Select(property => property.Name).Where(name => name.StartsWith("Maximum", StringComparison.Ordinal));
        Assert.Equal(6, limits.Count());
        Assert.All(limits, name => Assert.NotNull(typeof(TorchLimits).GetProperty(name)));
    }

    private static object PickleReader(byte[] pickle, long otherBytes) =>
        new PickleReader(pickle, PickleReading.Settings(otherBytes: otherBytes)).Read();

    private static byte[] Repeated(string first, string opcodes, int length)
    {
        var begin = PickleReading.Bytes(first);
        var repeated = PickleReading.Bytes(opcodes);
        var times = length / repeated.Length;
        var pickle = new byte[begin.Length + (times * repeated.Length) + 1];
        begin.CopyTo(pickle, 0);
        var filled = repeated.Length;
        var rest = pickle.AsSpan(begin.Length, times * repeated.Length);
        repeated.CopyTo(rest);
        while (filled < rest.Length)
        {
            var count = Math.Min(filled, rest.Length - filled);
            rest[..count].CopyTo(rest[filled..]);
            filled += count;
        }

        pickle[^1] = (byte)'.';
        return pickle;
    }

    private static CheckpointLimitException Beyond(byte[] pickle, string option, TorchLimits? limits = null)
    {
        var exception = PickleReading.Refused<CheckpointLimitException>(pickle, PickleReading.Settings(limits));
        Assert.Equal(CheckpointErrorCode.LimitExceeded, exception.Code);
        Assert.Equal($"TorchLimits.{option}", exception.Option);
        return exception;
    }
}
