using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>
/// Unit bodies read words where words can be: a device that has blocks or granules of whole words loads them by words, and CUDA ends
/// a kernel that loads one from elsewhere.
/// </summary>
[Trait("Area", "Codecs")]
public sealed class UnitAlignmentTests
{
    public static TheoryData<DType> Types => [.. Codecs.All.Where(codec => codec.ValuesPerElement == 1).Select(codec => codec.DType)];

    [Theory]
    [MemberData(nameof(Types))]
    public void A_body_reads_at_multiples_of_what_it_reads_as_far_as_its_blocks_are(DType dtype)
    {
        var reads = Codecs.Of(dtype).Accept(new Reading());
        Assert.NotEmpty(reads);
        Assert.All(reads, read => Assert.Equal(0, read.Offset % read.Size));
    }

    [Fact]
    public void A_granule_is_a_whole_part_of_a_unit_and_of_its_bytes() =>
        Assert.All(Codecs.All, codec => codec.Accept(new Granules()));

    private readonly record struct Read(long Offset, int Size);

    private readonly struct NotingReader(List<Read> reads, int alignment) : IByteReader
    {
        public int ReadByte(long offset) => 0;

        public int ReadUInt16(long offset) => Note(offset, 2);

        public int ReadInt32(long offset) => Note(offset, 4);

        public long ReadInt64(long offset) => Note(offset, 8);

        // What no block is a multiple of is read by other means.
        private int Note(long offset, int size)
        {
            reads.Add(new Read(offset, Math.Min(size, alignment)));
            return 0;
        }
    }

    private readonly struct NoSink : IValueSink
    {
        public static bool TakesDouble => false;

        public void WriteSingle(long index, int bits)
        {
        }

        public void WriteFour(long index, int first, int second, int third, int fourth)
        {
        }

        public void WriteDouble(long index, long bits)
        {
        }

        public void WriteFourDoubles(long index, long first, long second, long third, long fourth)
        {
        }
    }

    private sealed class Reading : IUnitVisitor<List<Read>>
    {
        public List<Read> Visit<TDecoder>()
            where TDecoder : struct, IUnitDecoder
        {
            var step = TDecoder.BlockBytes / (Unit.Length / TDecoder.Granule);
            var alignment = step % 8 == 0 ? 8 : step % 4 == 0 ? 4 : 1;
            var reads = new List<Read> { new(0, 1) };
            var reader = new NotingReader(reads, alignment);
            var table = new NotingReader(reads, 4);
            for (var count = 1; count <= Unit.Length; count++)
            {
                for (var unit = 0; unit < 1 << TDecoder.UnitsPerBlockShift; unit++)
                {
                    // Types that stand alone may end anywhere, blocks do not.
                    if (count == Unit.Length || TDecoder.Granule < Unit.Length)
                    {
                        TDecoder.DecodeUnit(reader, table, 3 * TDecoder.BlockBytes, unit, count, default(NoSink), 0);
                    }
                }
            }

            return reads;
        }
    }

    private sealed class Granules : IUnitVisitor<bool>
    {
        public bool Visit<TDecoder>()
            where TDecoder : struct, IUnitDecoder
        {
            Assert.Contains(TDecoder.Granule, new[] { 4, 8, 16, 32 });
            Assert.Equal(0, TDecoder.BlockBytes % (Unit.Length / TDecoder.Granule));
            Assert.True(TDecoder.Granule == Unit.Length || (TDecoder.UnitsPerBlockShift == 0 && TDecoder.Table.IsEmpty));
            return true;
        }
    }
}
