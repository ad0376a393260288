using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class StagingLayoutTests
{
    [Fact]
    public void Slots_never_take_more_than_the_cap_and_every_lane_has_one()
    {
        var cases = from lanes in Gen.Choose(1, 1024)
                    from preferred in Gen.OneOf(Gen.Choose(64, 64 << 10), Gen.Choose(64 << 10, 64 << 20))
                    from cap in Gen.OneOf(Gen.Choose(64 << 10, 1 << 20), Gen.Choose(1 << 20, int.MaxValue)).Select(cap => (long)cap)
                    from scale in Gen.Elements(1L, 1L << 12)
                    select (lanes, preferred, cap: cap * scale);
        Prop.ForAll(cases.ToArbitrary(), wanted =>
        {
            var layout = StagingLayout.Fit(wanted.lanes, wanted.preferred, wanted.cap);
            Assert.InRange(layout.Bytes, 1, wanted.cap);
            Assert.Equal((long)layout.Lanes * layout.SlotBytes * layout.SlotsPerLane, layout.Bytes);
            Assert.InRange(layout.Lanes, 1, wanted.lanes);
            Assert.InRange(layout.SlotsPerLane, 1, 4);
            Assert.InRange(layout.SlotBytes, 1, wanted.preferred);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));
    }

    [Theory]
    [InlineData(4, 16 << 20, 256L << 20, 4, 16 << 20, 4)]
    [InlineData(8, 16 << 20, 256L << 20, 8, 16 << 20, 2)]
    [InlineData(8, 16 << 20, 64L << 20, 4, 16 << 20, 1)]
    [InlineData(8, 16 << 20, (1L << 20) + 5, 1, 1 << 20, 1)]
    [InlineData(2, 1 << 20, 3L << 20, 2, 1 << 20, 1)]
    [InlineData(1, 1 << 20, 64L << 10, 1, 64 << 10, 1)]
    [InlineData(1, 1 << 20, (128L << 10) - 1, 1, 64 << 10, 1)]
    public void Fewer_slots_come_before_fewer_lanes_and_those_before_smaller_slots(
        int lanes, int preferred, long cap, int expectedLanes, int expectedSlot, int expectedSlots) =>
        Assert.Equal(new StagingLayout(expectedLanes, expectedSlot, expectedSlots), StagingLayout.Fit(lanes, preferred, cap));

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData((64 << 10) - 1)]
    public void A_cap_below_the_smallest_slot_is_refused(long cap)
    {
        var error = Assert.Throws<ArgumentException>(() => StagingLayout.Fit(1, 1 << 20, cap));
        Assert.Contains($"{64 << 10} bytes", error.Message, StringComparison.Ordinal);
        Assert.Contains($"{cap} are allowed", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_default_is_at_most_eight_lanes() =>
        Assert.Equal(Math.Clamp(Environment.ProcessorCount, 1, 8), StagingLayout.DefaultLanes);

    [Fact]
    public void A_layout_describes_itself()
    {
        Assert.Equal("8192 for staging: 2 lanes with 4 slots of 1024", new StagingLayout(2, 1024, 4).ToString());
        Assert.Equal("no staging, 3 lanes", new StagingLayout(3, 0, 0).ToString());
    }
}
