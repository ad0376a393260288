using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class DefaultDTypeTests
{
    [Fact]
    public void Scopes_nest_and_the_dtype_before_counts_again()
    {
        Assert.Equal(DType.F32, DefaultDType.Current);
        using (DefaultDType.Use(DType.BF16))
        {
            Assert.Equal(DType.BF16, DefaultDType.Current);
            var inner = DefaultDType.Use(DType.F16);
            Assert.Equal(DType.F16, DefaultDType.Current);
            inner.Dispose();
            Assert.Equal(DType.BF16, DefaultDType.Current);
            using (DefaultDType.Use(DType.F64))
            {
                inner.Dispose();
                Assert.Equal(DType.F64, DefaultDType.Current);
            }
        }

        Assert.Equal(DType.F32, DefaultDType.Current);
    }

    [Fact]
    public void An_exception_ends_the_scope()
    {
        Assert.Throws<InvalidOperationException>(Fail);
        Assert.Equal(DType.F32, DefaultDType.Current);

        static void Fail()
        {
            using (DefaultDType.Use(DType.F16))
            {
                throw new InvalidOperationException(DefaultDType.Current.Name);
            }
        }
    }

    [Fact]
    public async Task The_dtype_flows_into_async_methods_and_not_out_of_them()
    {
        using (DefaultDType.Use(DType.BF16))
        {
            await Task.Yield();
            Assert.Equal(DType.BF16, DefaultDType.Current);
            Assert.Equal([DType.F16, DType.F64], await Task.WhenAll(InsideAsync(DType.F16), InsideAsync(DType.F64)));
            Assert.Equal(DType.BF16, DefaultDType.Current);
            Assert.Equal(DType.BF16, await Task.Run(() => DefaultDType.Current));
        }

        static async Task<DType> InsideAsync(DType dtype)
        {
            Assert.Equal(DType.BF16, DefaultDType.Current);
            using var scope = DefaultDType.Use(dtype);
            await Task.Delay(1);
            return DefaultDType.Current;
        }
    }

    [Fact]
    public void Only_floating_point_types_that_stand_alone_can_be_the_default()
    {
        foreach (var dtype in DType.All)
        {
            if (dtype is DType.F64 or DType.F32 or DType.F16 or DType.BF16
                or DType.F8_E4M3 or DType.F8_E5M2 or DType.F8_E4M3FNUZ or DType.F8_E5M2FNUZ)
            {
                using var scope = DefaultDType.Use(dtype);
                Assert.Equal(dtype, DefaultDType.Current);
            }
            else
            {
                var exception = Assert.Throws<ArgumentException>(() => DefaultDType.Use(dtype));
                Assert.Contains(dtype.Name, exception.Message, StringComparison.Ordinal);
                Assert.Equal(DType.F32, DefaultDType.Current);
            }
        }
    }
}
