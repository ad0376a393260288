using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats.Pickle;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What must hold for any bytes, tried on random ones; a failure prints the seed to repeat it with.</summary>
public sealed class PicklePropertyTests
{
    // What the largest thing that few bytes name may take: a stack and a memo of their first sizes, and the exception.
    private const long FirstBytes = 64 << 10;
    private const int LargestExpansion = 200;

    private static readonly Config Thorough = Config.QuickThrowOnFailure.WithMaxTest(3_000);

    private static readonly byte[][] Originals = [.. PicklesOfPython.All.Select(row => Convert.FromBase64String((string)row[2]))];

    private static readonly byte[][] Pieces =
    [
        .. Enum.GetValues<PickleOpcode>().Select(opcode => new[] { (byte)opcode }),
        .. new[]
        {
            "cm\nclass\n", "cm\nfunction\n", "cm\ndictionary\n", "cm\nunknown\n", "cm\nconstant\n", "cos\nsystem\n", "K\u0001", "q\0", "h\0",
            "q\u0001", "h\u0001", "X\u0002\0\0\0ab", "\u008c\u0001m\u008c\u0005class\u0093", "(NNt", "]", "}", ")", "N", "\u0095\u0004\0\0\0\0\0\0\0",
        }.Select(PickleReading.Bytes),
    ];

    [Fact]
    public void Read_OpcodesInAnyOrder_GiveAValueOrTheirOwnException()
    {
        var pickles = Gen.ListOf(Gen.Elements(Pieces)).Select(pieces => pieces.SelectMany(piece => piece).Append((byte)'.').ToArray());
        Check.One(Thorough.WithMaxTest(20_000), Prop.ForAll(Arb.From(pickles), ReadsOrRefuses));
    }

    [Fact]
    public void Read_RandomBytes_GiveAValueOrTheirOwnException()
    {
        var bytes = Gen.ArrayOf(Gen.Choose(0, 255).Select(value => (byte)value));
        Check.One(Thorough, Prop.ForAll(Arb.From(bytes), ReadsOrRefuses));
    }

    [Fact]
    public void Read_PickleWithBytesReplaced_GivesAValueOrItsOwnException()
    {
        var mutations =
            from original in Gen.Elements(Originals)
            from first in Gen.Choose(0, original.Length - 1)
            from second in Gen.Choose(0, original.Length - 1)
            from value in Gen.Choose(0, 255)
            from opcode in Gen.Elements(Enum.GetValues<PickleOpcode>())
            select Replaced(original, first, (byte)value, second, (byte)opcode);
        Check.One(Thorough.WithMaxTest(20_000), Prop.ForAll(Arb.From(mutations), ReadsOrRefuses));
    }

    [Fact]
    public void Read_PickleCutAnywhere_SaysThatItIsCutAndThatMoreMightDo()
    {
        foreach (var original in Originals)
        {
            for (var length = 0; length < original.Length; length++)
            {
                var reader = new PickleReader(original.AsMemory(0, length), Admitting());
                var exception = Assert.Throws<InvalidCheckpointException>(() => reader.Read());
                Assert.Equal(CheckpointErrorCode.PickleInvalid, exception.Code);
                Assert.InRange(exception.Offset!.Value, PickleReading.BaseOffset, PickleReading.BaseOffset + length);
            }
        }
    }

    [Fact]
    public void Read_MemoryThatIsPartOfAnArrayOrNone_GivesTheSame()
    {
        foreach (var original in Originals)
        {
            var expected = PickleGraph.Show(new PickleReader(original, Admitting()).Read());
            byte[] within = [1, 2, 3, .. original, 4];
            Assert.Equal(expected, PickleGraph.Show(new PickleReader(within.AsMemory(3, original.Length), Admitting()).Read()));
            using var owner = new OwnedBytes(original);
            Assert.Equal(expected, PickleGraph.Show(new PickleReader(owner.Memory, Admitting()).Read()));
        }
    }

    private static PickleSettings Admitting() =>
        PickleReading.Settings() with { Globals = (_, _) => PickleGlobalVerdict.Allow(PickleGlobalKind.Unknown) };

    private static byte[] Replaced(byte[] original, int first, byte value, int second, byte opcode)
    {
        var pickle = original.ToArray();
        pickle[second] = opcode;
        pickle[first] = value;
        return pickle;
    }

    private static void ReadsOrRefuses(byte[] pickle)
    {
        ReadsOrRefuses(pickle, PickleReading.Settings());
        ReadsOrRefuses(pickle, Admitting());
        ReadsOrRefuses(pickle, PickleReading.Settings(recorder: new PickleRecorder()));
    }

    private static void ReadsOrRefuses(byte[] pickle, PickleSettings settings)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var reader = new PickleReader(pickle, settings);
        try
        {
            var value = reader.Read();
            Assert.InRange(reader.Position, 1, pickle.Length);
            Assert.Equal((byte)PickleOpcode.Stop, pickle[reader.Position - 1]);
            Walk(value);
        }
        catch (CheckpointException exception)
        {
            Assert.Equal(PickleReading.File, exception.File);
            Assert.DoesNotContain(exception.Message, char.IsControl);
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, FirstBytes + ((long)LargestExpansion * pickle.Length));
    }

    // Every value once, none deeper than the limit, none of a type that nobody knows.
    private static void Walk(object root)
    {
        var met = new HashSet<object>(ReferenceEqualityComparer.Instance);
        var waiting = new Stack<object>([root]);
        while (waiting.TryPop(out var value))
        {
            if (value is not PickleContainer container)
            {
                Assert.True(value is PickleNone or bool or long or System.Numerics.BigInteger or double or string or byte[] or PickleGlobal);
                continue;
            }

            Assert.InRange(container.Depth, 1, 1000);
            if (met.Add(container))
            {
                for (var child = 0; child < container.ChildCount; child++)
                {
                    if (container.ChildAt(child) is { } held)
                    {
                        waiting.Push(held);
                    }
                }
            }
        }
    }

    // Memory that no array is behind.
    private sealed class OwnedBytes : System.Buffers.MemoryManager<byte>
    {
        private readonly byte[] _bytes;

        public OwnedBytes(byte[] bytes) => _bytes = bytes;

        public override Span<byte> GetSpan() => _bytes;

        public override System.Buffers.MemoryHandle Pin(int elementIndex = 0) => throw new NotSupportedException();

        public override void Unpin() => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
        }
    }
}
