using ILGPU;
using ILGPU.Runtime.CPU;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>What a Hopper GPU's driver gets of the kernels that dequantise with companions.</summary>
[Trait("Area", "Ilgpu")]
public sealed class SchemeKernelPtxTests(PtxCompiler compiler) : IClassFixture<PtxCompiler>
{
    public static TheoryData<DType, DType> Blocks()
    {
        var blocks = new TheoryData<DType, DType>();
        foreach (var (stored, target) in from one in BlockScaledScheme.Stored from other in BlockScaledScheme.Targets select (one, other))
        {
            blocks.Add(stored, target);
        }

        return blocks;
    }

    [Theory]
    [MemberData(nameof(Blocks))]
    public void Scaled_blocks_stay_in_registers_and_are_stored_four_at_once(DType stored, DType target)
    {
        foreach (var inWords in (bool[])[true, false])
        {
            var ptx = Compile(accelerator => SchemeKernel.OfBlocks(accelerator, stored, target, inWords));
            Check(ptx);
            Assert.Equal(4 * target.BlockSize, ptx.GlobalStores.Max());
        }
    }

    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.F16)]
    [InlineData(DType.BF16)]
    public void Packed_numbers_stay_in_registers_and_are_stored_four_at_once(DType target)
    {
        foreach (var inWords in (bool[])[true, false])
        {
            var ptx = Compile(accelerator => SchemeKernel.OfGptq(accelerator, target, inWords));
            Check(ptx);
            Assert.All(ptx.GlobalStores, bytes => Assert.Equal(4 * target.BlockSize, bytes));
        }
    }

    private static void Check(PtxText ptx)
    {
        Assert.Empty(ptx.DivergentBranchesSaidUniform);
        Assert.Empty(ptx.GenericAccesses);
        Assert.Empty(ptx.FusibleOperations);
        foreach (var unwanted in (string[])[".local", "call", ".ftz", "div."])
        {
            Assert.DoesNotContain(unwanted, ptx.Text, StringComparison.Ordinal);
        }
    }

    private PtxText Compile(Func<ILGPU.Runtime.Accelerator, SchemeKernel> kernel)
    {
        using var context = Context.Create(builder => builder.CPU(CPUDevice.Default).Optimize(OptimizationLevel.O2));
        using var accelerator = context.CreateCPUAccelerator(0);
        return compiler.Compile(kernel(accelerator).Method);
    }
}
