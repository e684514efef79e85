/* The registers of the LM3S6965 that the labs use, under the names of their manuals.
 *
 * "DS" is TI's LM3S6965 data sheet; "ARM" is the ARMv7-M Architecture Reference Manual (DDI 0403).
 * A `const volatile` member is read-only: writing it by mistake does not compile.
 */
#ifndef LM3S6965_H
#define LM3S6965_H

#include <stddef.h>
#include <stdint.h>

/* Interrupt numbers, DS "Interrupts" (table of vectors). The exception number (the IPSR, the slot in
 * the vector table) is 16 more: port F is IRQ 30 and exception 46. */
enum irq {
    GPIOA_IRQn = 0,
    GPIOB_IRQn = 1,
    GPIOC_IRQn = 2,
    GPIOD_IRQn = 3,
    GPIOE_IRQn = 4,
    UART0_IRQn = 5,
    UART1_IRQn = 6,
    SSI0_IRQn = 7,
    I2C0_IRQn = 8,
    PWM_FAULT_IRQn = 9,
    PWM0_IRQn = 10,
    PWM1_IRQn = 11,
    PWM2_IRQn = 12,
    QEI0_IRQn = 13,
    ADC0_IRQn = 14,
    ADC1_IRQn = 15,
    ADC2_IRQn = 16,
    ADC3_IRQn = 17,
    WATCHDOG_IRQn = 18,
    TIMER0A_IRQn = 19,
    TIMER0B_IRQn = 20,
    TIMER1A_IRQn = 21,
    TIMER1B_IRQn = 22,
    TIMER2A_IRQn = 23,
    TIMER2B_IRQn = 24,
    COMP0_IRQn = 25,
    COMP1_IRQn = 26,
    SYSCTL_IRQn = 28,
    FLASH_IRQn = 29,
    GPIOF_IRQn = 30,
    GPIOG_IRQn = 31,
    UART2_IRQn = 33,
    TIMER3A_IRQn = 35,
    TIMER3B_IRQn = 36,
    I2C1_IRQn = 37,
    QEI1_IRQn = 38,
    ETHERNET_IRQn = 42,
    HIBERNATE_IRQn = 43,
    IRQ_COUNT = 48
};

/* General-purpose I/O, DS "General-Purpose Input/Outputs (GPIOs)". One bit per pin in each register. */
struct gpio {
    volatile uint32_t DATA[256];     /* 000 the index is a mask: DATA[m] reads and writes the pins in m only */
    volatile uint32_t DIR;           /* 400 1: output */
    volatile uint32_t IS;            /* 404 interrupt sense, 0: edge, 1: level */
    volatile uint32_t IBE;           /* 408 1: both edges */
    volatile uint32_t IEV;           /* 40c 0: falling edge or low level, 1: rising or high */
    volatile uint32_t IM;            /* 410 interrupt mask, 1: RIS reaches the NVIC */
    const volatile uint32_t RIS;     /* 414 raw: what the pin saw, whether masked or not */
    const volatile uint32_t MIS;     /* 418 masked: RIS & IM */
    volatile uint32_t ICR;           /* 41c write 1: clears that bit of RIS. Never |= it */
    volatile uint32_t AFSEL;         /* 420 1: the pin belongs to a peripheral */
    const volatile uint32_t reserved_424[55];
    volatile uint32_t DR2R;          /* 500 drive strength: 2, 4 or 8 mA; */
    volatile uint32_t DR4R;          /* 504 setting a bit in one */
    volatile uint32_t DR8R;          /* 508 clears it in the others */
    volatile uint32_t ODR;           /* 50c 1: open drain */
    volatile uint32_t PUR;           /* 510 1: pull-up */
    volatile uint32_t PDR;           /* 514 1: pull-down */
    volatile uint32_t SLR;           /* 518 1: slew rate control (8 mA only) */
    volatile uint32_t DEN;           /* 51c 1: digital function on; at 0 the pin reads nothing */
    volatile uint32_t LOCK;          /* 520 write 0x1ACCE551: lets CR be written */
    volatile uint32_t CR;            /* 524 commit: guards PB7 and PC0..3, the JTAG pins */
};

#define GPIOA ((struct gpio *)0x40004000u)
#define GPIOB ((struct gpio *)0x40005000u)
#define GPIOC ((struct gpio *)0x40006000u)
#define GPIOD ((struct gpio *)0x40007000u)
#define GPIOE ((struct gpio *)0x40024000u)
#define GPIOF ((struct gpio *)0x40025000u)
#define GPIOG ((struct gpio *)0x40026000u)

/* System control, DS "System Control". */
struct sysctl {
    const volatile uint32_t DID0;    /* 000 device identification */
    const volatile uint32_t DID1;    /* 004 */
    const volatile uint32_t DC0;     /* 008 device capabilities */
    const volatile uint32_t reserved_00c;
    const volatile uint32_t DC1;     /* 010 */
    const volatile uint32_t DC2;     /* 014 */
    const volatile uint32_t DC3;     /* 018 */
    const volatile uint32_t DC4;     /* 01c */
    const volatile uint32_t reserved_020[4];
    volatile uint32_t PBORCTL;       /* 030 brown-out reset */
    volatile uint32_t LDOPCTL;       /* 034 core voltage */
    const volatile uint32_t reserved_038[2];
    volatile uint32_t SRCR0;         /* 040 software resets of peripherals */
    volatile uint32_t SRCR1;         /* 044 */
    volatile uint32_t SRCR2;         /* 048 */
    const volatile uint32_t reserved_04c;
    const volatile uint32_t RIS;     /* 050 raw interrupt status */
    volatile uint32_t IMC;           /* 054 interrupt mask */
    volatile uint32_t MISC;          /* 058 masked status, write 1: clear */
    volatile uint32_t RESC;          /* 05c cause of the last reset */
    volatile uint32_t RCC;           /* 060 run-mode clock */
    const volatile uint32_t PLLCFG;  /* 064 */
    const volatile uint32_t reserved_068[2];
    volatile uint32_t RCC2;          /* 070 run-mode clock, extended; overrides RCC if its bit 31 is set */
    const volatile uint32_t reserved_074[35];
    volatile uint32_t RCGC0;         /* 100 clock gates in run mode: */
    volatile uint32_t RCGC1;         /* 104 a peripheral without its clock */
    volatile uint32_t RCGC2;         /* 108 answers with a bus fault. GPIO port A is bit 0 ... G is bit 6 */
    const volatile uint32_t reserved_10c;
    volatile uint32_t SCGC0;         /* 110 clock gates in sleep mode, used only if RCC.ACG = 1; */
    volatile uint32_t SCGC1;         /* 114 it is 0 after reset, so a sleeping chip */
    volatile uint32_t SCGC2;         /* 118 keeps the clocks of RCGC and its GPIO interrupts */
};

#define SYSCTL ((struct sysctl *)0x400fe000u)

#define SYSCTL_RCGC2_GPIOE (1u << 4)
#define SYSCTL_RCGC2_GPIOF (1u << 5)

#define SYSCTL_RIS_PLLL (1u << 6)         /* the PLL has locked */

#define SYSCTL_RCC_MOSCDIS (1u << 0)      /* 1: main (crystal) oscillator off */
#define SYSCTL_RCC_OSCSRC_MASK (3u << 4)  /* 0: main oscillator, 1: internal 12 MHz +-30 % (reset) */
#define SYSCTL_RCC_XTAL_MASK (0xfu << 6)
#define SYSCTL_RCC_XTAL_8MHZ (0xeu << 6)
#define SYSCTL_RCC_BYPASS (1u << 11)      /* 1: the system clock does not come from the PLL */
#define SYSCTL_RCC_PWRDN (1u << 13)       /* 1: PLL off */
#define SYSCTL_RCC_USESYSDIV (1u << 22)
#define SYSCTL_RCC_SYSDIV_MASK (0xfu << 23)
#define SYSCTL_RCC_SYSDIV_16 (0xfu << 23) /* the field holds the divisor less one */

/* Nested vectored interrupt controller, ARM B3.4. One bit per IRQ, 32 to a register. ISER, ICER, ISPR
 * and ICPR act on the bits written as 1 and ignore the zeros: assign, never |=. */
struct nvic {
    volatile uint32_t ISER[8];       /* e100 set enable */
    const volatile uint32_t reserved_120[24];
    volatile uint32_t ICER[8];       /* e180 clear enable */
    const volatile uint32_t reserved_1a0[24];
    volatile uint32_t ISPR[8];       /* e200 set pending */
    const volatile uint32_t reserved_220[24];
    volatile uint32_t ICPR[8];       /* e280 clear pending */
    const volatile uint32_t reserved_2a0[24];
    const volatile uint32_t IABR[8]; /* e300 active */
    const volatile uint32_t reserved_320[56];
    volatile uint8_t IPR[240];       /* e400 priority, a byte per IRQ; this chip keeps the top 3 bits */
};

#define NVIC ((struct nvic *)0xe000e100u)

/* System control block, ARM B3.2. */
struct scb {
    const volatile uint32_t CPUID;   /* ed00 */
    volatile uint32_t ICSR;          /* ed04 pends NMI, PendSV and SysTick */
    volatile uint32_t VTOR;          /* ed08 address of the vector table */
    volatile uint32_t AIRCR;         /* ed0c */
    volatile uint32_t SCR;           /* ed10 */
    volatile uint32_t CCR;           /* ed14 */
    volatile uint8_t SHPR[12];       /* ed18 priorities of exceptions 4..15 */
    volatile uint32_t SHCSR;         /* ed24 enables MemManage, BusFault, UsageFault */
    volatile uint32_t CFSR;          /* ed28 why a configurable fault was taken; write 1: clear */
    volatile uint32_t HFSR;          /* ed2c why a HardFault was taken; write 1: clear */
    volatile uint32_t DFSR;          /* ed30 */
    volatile uint32_t MMFAR;         /* ed34 address of a MemManage fault, if CFSR bit 7 */
    volatile uint32_t BFAR;          /* ed38 address of a bus fault, if CFSR bit 15 */
};

#define SCB ((struct scb *)0xe000ed00u)

#define SCB_CCR_DIV_0_TRP (1u << 4)
#define SCB_CCR_STKALIGN (1u << 9)
#define SCB_SHCSR_MEMFAULTENA (1u << 16)
#define SCB_SHCSR_BUSFAULTENA (1u << 17)
#define SCB_SHCSR_USGFAULTENA (1u << 18)

/* System timer, ARM B3.3 (there: SYST_CSR, SYST_RVR, SYST_CVR). */
struct systick {
    volatile uint32_t CTRL;          /* e010 bit 0 enable, 1 interrupt, 2 processor clock */
    volatile uint32_t LOAD;          /* e014 24 bits; the period is LOAD + 1 cycles */
    volatile uint32_t VAL;           /* e018 any write sets it to 0 */
    const volatile uint32_t CALIB;   /* e01c */
};

#define SYSTICK ((struct systick *)0xe000e010u)

#define SYSTICK_CTRL_ENABLE (1u << 0)
#define SYSTICK_CTRL_TICKINT (1u << 1)
#define SYSTICK_CTRL_CLKSOURCE (1u << 2)

/* Memory protection unit, ARM B3.5. */
struct mpu {
    const volatile uint32_t TYPE;    /* ed90 */
    volatile uint32_t CTRL;          /* ed94 bit 0 enable, 2 default map for privileged code */
    volatile uint32_t RNR;           /* ed98 region number */
    volatile uint32_t RBAR;          /* ed9c region base */
    volatile uint32_t RASR;          /* eda0 bit 0 enable, 5:1 log2(size) - 1, 26:24 access, 28 no execute */
};

#define MPU ((struct mpu *)0xe000ed90u)

_Static_assert(offsetof(struct gpio, DIR) == 0x400, "GPIO DIR");
_Static_assert(offsetof(struct gpio, ICR) == 0x41c, "GPIO ICR");
_Static_assert(offsetof(struct gpio, DR2R) == 0x500, "GPIO DR2R");
_Static_assert(offsetof(struct gpio, CR) == 0x524, "GPIO CR");
_Static_assert(offsetof(struct sysctl, RCC) == 0x060, "SYSCTL RCC");
_Static_assert(offsetof(struct sysctl, RCGC2) == 0x108, "SYSCTL RCGC2");
_Static_assert(offsetof(struct sysctl, SCGC2) == 0x118, "SYSCTL SCGC2");
_Static_assert(offsetof(struct nvic, ICPR) == 0x180, "NVIC ICPR");
_Static_assert(offsetof(struct nvic, IPR) == 0x300, "NVIC IPR");
_Static_assert(offsetof(struct scb, SHCSR) == 0x024, "SCB SHCSR");
_Static_assert(offsetof(struct scb, BFAR) == 0x038, "SCB BFAR");

#endif
