set -e
cd /tmp/st/t
S=/work/main/src/codegen/fast/stencils
X="-march=x86-64-v2 -mno-red-zone -fcf-protection=none -Xclang -target-feature -Xclang -idivq-to-divl -Xclang -target-feature -Xclang -fast-shld-rotate"
for f in float convert simd_int simd_lane simd_float simd_memory atomic; do
clang-19 --target=x86_64-linux-gnu $X $EXTRA -ffreestanding -O2 -c -std=gnu17 -ffp-contract=off -fomit-frame-pointer -fno-asynchronous-unwind-tables -fno-pic -fno-stack-protector -fno-strict-aliasing -DIMM='(-305419896)' -DIMM2='(-878082066)' -DSHIFT=23 -DIMM64=0x123456789abcdef1 -o $f.o $S/$f.c
done
clang-19 -O2 -march=x86-64-v2 -c shim.c -o shim.o
nm *.o | awk '$2=="T" && $3 ~ /^s_/ {print substr($3,3)}' | sort > names.txt
(echo '#include <map>'; echo '#include <string>'; echo 'extern "C" {'; sed 's/.*/void s_&();/' names.txt; echo '}'; echo 'std::map<std::string,void*> table = {'; sed 's/.*/{"&",(void*)s_&},/' names.txt; echo '};') > table.cc
CXX=$(which g++ || which clang++-19)
$CXX -std=gnu++17 -O1 -march=x86-64 -ffp-contract=off -no-pie -fno-pie -o test test.cc table.cc *.o -lm
./test
